#include "core/pipeline/content_hash.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <charconv>

#include "core/base/error.hpp"

namespace ark {

namespace {

constexpr size_t kDigits = 16;  // of each half

std::string half_text(uint64_t half) {
    std::string text(kDigits, '0');
    for (size_t i = kDigits; i-- > 0; half >>= 4)
        text[i] = "0123456789abcdef"[half & 0xF];
    return text;
}

Hash128 hash_of(const XXH128_hash_t& hash) {
    return {hash.high64, hash.low64};
}

}  // namespace

struct ContentHash::State {
    XXH3_state_t xxh;
};

std::string to_text(const Hash128& hash) {
    return half_text(hash.high) + half_text(hash.low);
}

Hash128 parse_hash128(const std::string& text) {
    Hash128 hash;
    const auto parse = [&](size_t begin, uint64_t& half) {
        const char* first = text.data() + begin;
        const auto result = std::from_chars(first, first + kDigits, half, 16);
        return result.ec == std::errc{} && result.ptr == first + kDigits;
    };
    if (text.size() != 2 * kDigits || !parse(0, hash.high) || !parse(kDigits, hash.low))
        throw Error(ErrorCode::corrupt, "invalid XXH128 digest");
    return hash;
}

Hash128 content_hash(ByteView content) {
    return hash_of(XXH3_128bits(content.data(), content.size()));
}

uint64_t block_hash(ByteView block) {
    return XXH3_64bits(block.data(), block.size());
}

ContentHash::ContentHash() : state_(std::make_unique<State>()) {
    XXH3_128bits_reset(&state_->xxh);
}

ContentHash::~ContentHash() = default;

void ContentHash::update(ByteView piece) {
    XXH3_128bits_update(&state_->xxh, piece.data(), piece.size());
}

Hash128 ContentHash::finish() const {
    return hash_of(XXH3_128bits_digest(&state_->xxh));
}

}  // namespace ark
