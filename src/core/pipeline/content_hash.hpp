#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/base/bytes.hpp"

namespace ark {

/// XXH3-128 (https://xxhash.com): tells one file's content from another's where nobody forges it.
/// All zeros stands for "not known".
struct Hash128 {
    uint64_t high = 0;
    uint64_t low = 0;

    bool is_known() const { return high != 0 || low != 0; }
    bool operator==(const Hash128&) const = default;
};

/// 32 hexadecimal digits, as xxh128sum prints them.
std::string to_text(const Hash128& hash);
/// Error: corrupt for anything else.
Hash128 parse_hash128(const std::string& text);

Hash128 content_hash(ByteView content);
/// XXH3-64, for blocks: eight bytes for each are what can be kept.
uint64_t block_hash(ByteView block);

/// The same, in pieces. One thread at a time.
class ContentHash {
 public:
    ContentHash();
    ~ContentHash();
    ContentHash(const ContentHash&) = delete;
    ContentHash& operator=(const ContentHash&) = delete;

    void update(ByteView piece);
    Hash128 finish() const;

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace ark
