#pragma once

#include <cstdint>
#include <limits>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/archive/fetch.hpp"
#include "core/base/bytes.hpp"
#include "core/base/error.hpp"
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
    /// timeline that the bytes are from, or from where the archive ends. Valid until the next call.
    /// nullopt when the segment isn't there. Error: corrupt, and what the store throws.
    virtual std::optional<ByteView> read_segment(uint64_t number) = 0;

    /// The last segment such that every one from `first` to it is there; nullopt when `first`
    /// itself isn't. Of this last one it may be that only the beginning is there.
    virtual std::optional<uint64_t> last_contiguous(uint64_t first) = 0;
};

/// The source over a repository. Bytes come as `wal-get --target-timeline` would give them
/// (archive/fetch.hpp), but a SegmentHole is a segment that isn't there. Keeps the two segments
/// read last where they are small.
class RepositoryWal final : public WalSource {
 public:
    /// The repository outlives the source.
    RepositoryWal(Repository& repository, std::string cluster, uint64_t segment_size,
                  TimelineHistory history);

    uint64_t segment_size() const override { return segment_size_; }
    std::optional<ByteView> read_segment(uint64_t number) override;
    std::optional<uint64_t> last_contiguous(uint64_t first) override {
        return last_contiguous(first, std::numeric_limits<uint64_t>::max());
    }
    /// The same, without a look at segments behind `up_to`, in whatever state they are. What was
    /// found is not looked for again.
    std::optional<uint64_t> last_contiguous(uint64_t first, uint64_t up_to);
    /// The same, but pieces that cannot be read end it, as a segment that is missing does, and are
    /// told.
    std::optional<uint64_t> last_readable(uint64_t first, uint64_t up_to,
                                          std::optional<Error>& damage);

    /// The next read_segment asks the repository for it again.
    void forget(uint64_t number);
    /// Where what is there of the segment ends, if that is inside it; of one that read_segment has
    /// given.
    std::optional<Lsn> end_inside(uint64_t number) const;
    /// Of the last piece of WAL, where that was read and is damaged.
    const std::optional<Error>& damage() const { return damage_; }

    const TimelineHistory& history() const { return history_; }

    /// Numbers, from `first` on, of the complete segments on the way that a listing shows, whatever
    /// is missing between them. A segment that holds a fork, or that there are pieces of, may be
    /// readable without being among them.
    std::set<uint64_t> listed(uint64_t first);

 private:
    struct Range {
        uint64_t first = 0;
        uint64_t last = 0;
    };

    std::optional<FetchedSegment> fetch(uint64_t number);
    std::optional<FetchedSegment> fetch_of(TimelineId timeline, uint64_t number);
    bool can_be_read(uint64_t number, std::optional<Error>& damage);
    void add_segments(TimelineId timeline, uint64_t first, std::set<uint64_t>& numbers);

    Repository& repository_;
    std::string cluster_;
    uint64_t segment_size_;
    TimelineHistory history_;
    std::list<std::pair<uint64_t, Bytes>> cache_;  ///< newest first
    std::map<uint64_t, Lsn> ends_inside_;
    std::optional<Error> damage_;
    std::optional<Range> contiguous_;  ///< as it was found last
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
