#pragma once

#include <cstdint>
#include <optional>
#include <set>

#include "core/changes/live_wal.hpp"
#include "core/pgdata/wal_reader.hpp"

namespace ark {

/// Segments of a server's WAL from wherever they are: in pg_wal, else in the repository. One
/// thread.
class WalPlaces {
 public:
    /// `archived`: as WalReader's, along the same way as `live`. Of those no more than so many
    /// bytes are asked for; behind that it is as if they were not there.
    WalPlaces(std::optional<LiveWal> live, WalReader::SegmentFunction archived,
              uint64_t segment_size, uint64_t max_archived_bytes);

    /// As WalReader::SegmentFunction. Error: cancelled where the process is to end; what the
    /// repository's function throws.
    std::optional<ByteView> read(uint64_t number);

    void set_flushed(Lsn flushed);
    void hold(uint64_t first, size_t most);  ///< as LiveWal
    bool is_live(uint64_t number) const { return live_ && live_->has(number); }
    /// How many segments of [from, to) only the repository may have.
    uint64_t not_live(Lsn from, Lsn to) const;

    /// Whether the segment came from pg_wal when it was read last; from here on it does not. For
    /// who could not read it: the server may have used its file anew.
    bool give_up_live(uint64_t number);

    uint64_t live_segments() const { return live_segments_; }
    uint64_t archived_segments() const { return archived_segments_; }

 private:
    std::optional<ByteView> read_live(uint64_t number);
    void forget_before(uint64_t number);

    std::optional<LiveWal> live_;
    const WalReader::SegmentFunction archived_;
    const uint64_t segment_size_;
    const uint64_t max_archived_bytes_;
    // Of the last few segments.
    std::set<uint64_t> from_live_;
    std::set<uint64_t> given_up_;
    std::set<uint64_t> from_archive_;
    uint64_t live_segments_ = 0;
    uint64_t archived_segments_ = 0;
};

}  // namespace ark
