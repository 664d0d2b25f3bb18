#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "core/pipeline/digest.hpp"
#include "core/pipeline/zstd.hpp"
#include "core/repo/repository.hpp"

namespace ark::fuzz {

inline const std::string kCluster = "c";

/// A repository in memory: its mark, and nothing else.
inline std::unique_ptr<Repository> empty_repository() {
    auto store = make_memory_store();
    store->put_if_absent("ark.json", as_bytes(R"({"pg_ark_repository": 1, "repository_id": "r"})"));
    return Repository::open(std::move(store), OpenMode::read);
}

/// Stores what pg_ark streams (an index, a manifest) as ObjectWriter would, and faster than with a
/// new one each time; the SHA-256 of the plaintext.
inline std::string write_object(Repository& repository, ObjectKind kind, const std::string& place,
                                ByteView plain) {
    static FrameCompressor compressor(1);
    static Bytes frame(FrameCompressor::max_frame_bytes());
    ObjectHeader header;
    header.kind = kind;
    header.place = place;
    Bytes object = encode_header(header);
    for (ByteView rest = plain; !rest.empty();) {
        const ByteView piece = rest.first(std::min(rest.size(), kFrameBytes));
        const size_t n = compressor.compress(piece, frame);
        object.insert(object.end(), frame.begin(), frame.begin() + static_cast<ptrdiff_t>(n));
        rest = rest.subspan(piece.size());
    }
    repository.store().put_if_absent(kCluster + "/" + place, object);
    return sha256_hex(plain);
}

}  // namespace ark::fuzz
