#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/restore/file_plan.hpp"

namespace ark {

/// The checksums of the blocks of a member of a pack, for all lanes that write pieces of it:
/// fetched once, by the first who asks. Thread-safe.
class MemberChecksums {
 public:
    /// `member`: with the places of its checksums.
    MemberChecksums(const IndexEntry& member, uint32_t block_bytes)
        : refs_(member.block_checksums), block_bytes_(block_bytes) {}

    const std::vector<FrameRef>& refs() const { return refs_; }
    /// Where the last one ends in the pack.
    uint64_t end() const;
    /// What they take in memory once they are fetched.
    size_t memory() const;

    /// Fetches them unless somebody has; false where they are damaged. What `fetch` throws comes
    /// through, but damage, which `damaged` is told of, once. After it others may look.
    bool fetch(const std::function<std::vector<uint64_t>()>& fetch,
               const std::function<void(const Error&)>& damaged);

    /// Whether these bytes, which begin at `from` of the member's content, are what it has there.
    /// False also where they are no whole blocks. After fetch().
    bool match(uint64_t from, ByteView bytes) const;

 private:
    enum class State { unknown, fetched, damaged };

    const std::vector<FrameRef> refs_;
    const uint32_t block_bytes_;
    std::mutex mutex_;
    State state_ = State::unknown;
    std::vector<uint64_t> checksums_;  ///< does not change once it is fetched
};

}  // namespace ark
