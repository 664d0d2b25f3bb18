#pragma once

#include <string>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/changes/change_table.hpp"
#include "core/pgdata/wal_name.hpp"

namespace ark {

/// Every record of a timeline that begins in [from, to).
struct ChangeRange {
    TimelineId timeline = 0;
    Lsn from = 0;
    Lsn to = 0;

    // clang-tidy takes the 0 that such an order is compared with for a pointer.
    auto operator<=>(const ChangeRange&) const = default;  // NOLINT(modernize-use-nullptr)
};
/// Where the table that begins at `from` ends: at a multiple of `span` bytes (one or more
/// segments), so that whoever makes tables cuts alike, or where the timeline was left.
Lsn end_of_table(Lsn from, uint64_t span, Lsn timeline_end);
/// The span of the tables that are stored: 16 segments, at most 256 MB, at least one segment. What
/// is behind the last of them a backup reads for itself.
uint64_t change_span(uint64_t segment_size);

/// "0/1000000 to 0/3000000 on timeline 1", for messages.
std::string to_text(const ChangeRange& range);

/// A backup that ended in a stretch of WAL: where it began, and where the record that says so ends.
struct EndedBackup {
    Lsn start = 0;
    Lsn stop = 0;

    bool operator==(const EndedBackup&) const = default;
};

/// The change table of a range, with what shows that it follows another without a gap. The same WAL
/// always gives the same.
struct RangeChanges {
    ChangeRange range;
    uint64_t system_identifier = 0;
    /// Where the record lies that the range's first one names as the one before it, and where the
    /// range's last one begins. Both 0 where no record begins in the range.
    Lsn previous_record = 0;
    Lsn last_record = 0;
    /// The last record in the range that says that wal_level is minimal; 0 where there is none.
    Lsn minimal_at = 0;
    /// In their order. Any server's: what was taken on this WAL is told from what was taken on
    /// other WAL with the same places.
    std::vector<EndedBackup> backups{};
    ChangeTable table;

    bool operator==(const RangeChanges&) const = default;
};

/// The plaintext of its object (docs/repository-format.md "Change tables").
Bytes encode_changes(const RangeChanges& changes);
/// The inverse. Error: corrupt, naming the object, for anything that encode_changes does not write;
/// unsupported for a newer version.
RangeChanges decode_changes(ByteView bytes, const std::string& name_for_messages);

}  // namespace ark
