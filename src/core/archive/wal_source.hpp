#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/pgdata/timeline_history.hpp"
#include "core/repo/repository.hpp"

namespace ark {

/// WAL of one cluster along one timeline's history, segment by segment. Used by one thread.
class WalSource {
 public:
    WalSource() = default;
    WalSource(const WalSource&) = delete;
    WalSource& operator=(const WalSource&) = delete;
    virtual ~WalSource() = default;

    virtual uint64_t segment_size() const = 0;

    /// The segment's bytes, exactly segment_size() of them; zeros from where the way leaves the
    /// timeline that the bytes are from. Valid until the next call. nullopt when the segment isn't
    /// there. Error: corrupt, and what the store throws.
    virtual std::optional<ByteView> read_segment(uint64_t number) = 0;

    /// The last segment such that every one from `first` to it is there; nullopt when `first`
    /// itself isn't.
    virtual std::optional<uint64_t> last_contiguous(uint64_t first) = 0;
};

/// The source over a repository. Bytes come as `wal-get --target-timeline` would give them
/// (archive/fetch.hpp). Keeps the two segments read last where they are small.
class RepositoryWal final : public WalSource {
 public:
    /// The repository outlives the source.
    RepositoryWal(Repository& repository, std::string cluster, uint64_t segment_size,
                  TimelineHistory history);

    uint64_t segment_size() const override { return segment_size_; }
    std::optional<ByteView> read_segment(uint64_t number) override;
    std::optional<uint64_t> last_contiguous(uint64_t first) override;

    const TimelineHistory& history() const { return history_; }

    /// Numbers, from `first` on, of the complete segments on the way that a listing shows, whatever
    /// is missing between them. The segment that holds a fork may be readable without being among
    /// them.
    std::set<uint64_t> listed(uint64_t first);
    /// True for a segment in which the way leaves a timeline.
    bool holds_fork(uint64_t number) const;

 private:
    std::optional<Bytes> fetch(uint64_t number);
    void add_segments(TimelineId timeline, uint64_t first, std::set<uint64_t>& numbers);

    Repository& repository_;
    std::string cluster_;
    uint64_t segment_size_;
    TimelineHistory history_;
    std::list<std::pair<uint64_t, Bytes>> cache_;  ///< newest first
};

/// The history of `timeline` as the repository has it. Timeline 1 needs no file. Error: not_found
/// when the file of another one isn't there, corrupt.
TimelineHistory load_timeline_history(Repository& repository, const std::string& cluster,
                                      TimelineId timeline);

/// The newest timeline from `start` on, as the server finds it: the last of an unbroken row of
/// history files. It need not descend from `start`: look at its history.
TimelineId find_newest_timeline(Repository& repository, const std::string& cluster,
                                TimelineId start);

}  // namespace ark
