#pragma once

#include <initializer_list>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/pipeline/zstd.hpp"

namespace ark::test {

/// Where the frames of a stored object begin: the header first, the end last.
inline std::vector<size_t> edges_of(ByteView stored) {
    std::vector<size_t> out{0};
    while (out.back() < stored.size())
        out.push_back(out.back() + *frame_length(stored.subspan(out.back()), "x"));
    return out;
}

inline Bytes part(ByteView bytes, size_t from, size_t to) {
    return {bytes.begin() + static_cast<ptrdiff_t>(from),
            bytes.begin() + static_cast<ptrdiff_t>(to)};
}

inline Bytes together(std::initializer_list<Bytes> parts) {
    Bytes out;
    for (const Bytes& piece : parts)
        out.insert(out.end(), piece.begin(), piece.end());
    return out;
}

}  // namespace ark::test
