#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/bytes.hpp"
#include "core/pgdata/wal_name.hpp"
#include "core/pgdata/wal_page.hpp"

namespace ark {

/// What is known of the cluster that a segment must come from.
struct WalOrigin {
    std::optional<uint64_t> system_identifier;
    std::optional<uint64_t> segment_size;
};

/// Checks what a segment's first page says, of which `bytes` hold the header at least: that the
/// segment is of this cluster, at the place that its name (or a .partial's) says, on this timeline
/// or an ancestor of it. Error: corrupt.
WalSegmentFacts check_segment_begin(ByteView bytes, const std::string& name,
                                    const WalOrigin& origin);

/// Checks what the first page says: that `bytes`, offered as `name` (a segment's or a .partial's),
/// are as long as it says, of this cluster, at this place, on this timeline or an ancestor of it.
/// Returns the segment's number. Error: corrupt.
uint64_t check_segment_header(ByteView bytes, const std::string& name, const WalOrigin& origin);

/// The same, and that the segment is complete: pages and records follow each other to its end, or
/// up to a switch record. What is not complete must never be archived under the segment's name.
/// Whether each record matches its checksum is not looked at: damage there is found by
/// verification, and refusing the segment would stop archiving for good.
///
/// Behind a switch the server writes zeros. Where it crashed while it did, what the file held
/// before stays there for ever, also on the switch record's own page: crash recovery goes on in the
/// next segment. No reader looks behind a switch, whose record is checked whole, so nor does this.
/// Error: corrupt, saying where and why.
void check_complete_segment(ByteView bytes, const std::string& name, const WalOrigin& origin);

/// Where the valid part of a segment ends, by page headers and links between records: the first
/// address that cannot be read. Bytes before it may belong to a record that is not whole. The
/// segment's end where it is complete. The header has been checked.
Lsn end_of_valid_pages(ByteView bytes, uint64_t number);

/// Sets everything from `end` on to zero; nothing where that is behind the segment.
void cut_segment(MutableByteView bytes, uint64_t number, Lsn end);

}  // namespace ark
