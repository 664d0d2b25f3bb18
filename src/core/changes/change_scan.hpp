#pragma once

#include <functional>
#include <optional>
#include <string>

#include "core/changes/range_changes.hpp"
#include "core/changes/wal_changes.hpp"
#include "core/pgdata/wal_page.hpp"
#include "core/pgdata/wal_reader.hpp"

namespace ark {

/// What is behind the WAL that a scan is to read.
enum class ScanEnd {
    more,         ///< more WAL, now or later: a record that goes on there is waited for
    of_timeline,  ///< nothing: a record that is not whole there was never made
};

/// Reads one timeline's WAL from a place on, as far as it has come, and makes change tables of it.
/// WAL comes from whoever has it: a repository, or live segments. Of those give the pages up to the
/// one in which the flushed WAL ends, and read no further than to that place: what is not flushed
/// may be written anew after a crash. One thread.
class ChangeScan {
 public:
    /// `from`: where the first table begins. `segments`: as WalReader's; they lie on the way to
    /// `timeline`.
    ChangeScan(TimelineId timeline, Lsn from, uint64_t segment_size,
               WalReader::SegmentFunction segments);

    /// Takes in every record that begins before `to`. False where WAL ends before that, or goes on
    /// with something else: stop() says where and why, and what was read so far counts; it can be
    /// tried again when there is more. `to` does not go back, nor before the last record. Error:
    /// what the segments throw; corrupt and unsupported for WAL in which changes cannot be seen:
    /// the tracking has a gap there, and the scan is of no more use.
    bool read_to(Lsn to, ScanEnd end = ScanEnd::more);

    /// What was taken in since the last table's end, as the table up to the `to` that read_to
    /// came to; the next one begins there. Not after a read_to that came to nothing.
    RangeChanges take();
    /// What was taken in so far: of a range that ends at position(). The scan goes on as it was.
    RangeChanges peek() const;

    /// Called for each record that is taken in, for tests and statistics.
    std::function<void(const WalRecord&, const RecordChanges&)> on_record;

    /// Everything before it was taken in.
    Lsn position() const { return position_; }
    const WalStop& stop() const { return stop_; }
    const ChangeTable& table() const { return changes_.table; }

 private:
    void check_origin(const WalSegmentFacts& facts);
    void look_at_first_segment();
    bool is_at_header_before(Lsn to) const;
    void take_in(const WalRecord& record);

    const uint64_t segment_size_;
    const WalReader::SegmentFunction segments_;
    RangeChanges changes_;  ///< its `to` is where read_to came to last
    bool whole_ = false;    ///< it has what lies before that, and nothing else
    Lsn position_;
    uint32_t page_size_ = 0;  ///< once a segment was seen
    Lsn last_record_ = 0;     ///< also of earlier tables
    RecordChanges record_changes_;
    WalStop stop_;
};

}  // namespace ark
