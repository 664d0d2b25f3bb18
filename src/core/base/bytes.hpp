#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ark {

using Bytes = std::vector<std::byte>;
using ByteView = std::span<const std::byte>;
using MutableByteView = std::span<std::byte>;

static_assert(std::endian::native == std::endian::little,
              "PostgreSQL's files are in the byte order of their host; pg_ark reads them on a "
              "little-endian one");

/// The value at `offset`, in the byte order of the host, unaligned. The caller has checked the
/// size.
template <typename T>
T load(ByteView bytes, size_t offset) {
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof(T));
    return value;
}

template <typename T>
void store(MutableByteView bytes, size_t offset, T value) {
    std::memcpy(bytes.data() + offset, &value, sizeof(T));
}

inline ByteView as_bytes(std::string_view text) {
    return std::as_bytes(std::span<const char>(text.data(), text.size()));
}
inline std::string_view as_text(ByteView bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Lower-case hexadecimal.
std::string to_hex(ByteView bytes);
inline std::string to_hex(std::string_view text) {
    return to_hex(as_bytes(text));
}

/// The inverse of to_hex. Error: invalid_argument on an odd length or another character.
Bytes from_hex(std::string_view hex);
std::string text_from_hex(std::string_view hex);

/// True when every byte is zero; an empty view is all zero.
bool is_all_zero(ByteView bytes);

/// True for well-formed UTF-8 without NUL (what JSON can carry).
bool is_utf8(std::string_view text);

/// "12.3 GB": decimal units, for people.
std::string human_bytes(uint64_t bytes);

}  // namespace ark
