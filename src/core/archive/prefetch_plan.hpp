#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/pgdata/timeline_history.hpp"

namespace ark {

// What a prefetcher decides from facts alone.

/// How many segments ahead of recovery lie in the spool at most: `wanted` where somebody has said
/// so (positive), else eight, or as many as 256 MB hold, but one.
size_t prefetch_depth(int wanted, uint64_t segment_size);

/// How many are fetched at a time: each of them is in memory twice, compressed and not.
size_t prefetch_threads(size_t depth, uint64_t segment_size);

/// How many to have ahead after recovery has asked for one more: few at first, twice as many each
/// time that one was taken from the spool. So who asks for one segment and goes away has little
/// fetched in vain.
size_t next_window(size_t window, size_t depth, bool taken_from_spool);

/// Names of the `window` segments that recovery asks for after `position`, as it chooses their
/// timelines. Ends before a segment in which the way leaves its timeline for one that it does not
/// name there: such a one is cut when it is asked for.
std::vector<std::string> segments_ahead(WalSegment position, size_t window,
                                        const TimelineHistory* way, uint64_t segment_size);

/// Whether one more segment may be written where `free` of `total` bytes are left and `coming` are
/// being written: never into the last twentieth (5 GB at most), nor the place of the four segments
/// that replay itself needs.
bool has_room_for_segment(uint64_t free, uint64_t total, size_t coming, uint64_t segment_size);

/// Seconds without a request after which nobody is thought to come any more: short where nothing
/// would be lost, longer where fetched segments wait, and the more of their bytes there are.
int64_t idle_seconds(bool spool_is_empty, uint64_t segment_size);

}  // namespace ark
