#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "core/repo/repository.hpp"

namespace ark {

/// Which WAL segments to look for.
struct SegmentSearch {
    std::string cluster;
    TimelineId timeline = 0;
    uint64_t segment_size = 0;
    uint64_t first = 0;  ///< number of the lowest that matters
};

/// Calls `visit` with the number of each whole segment that the repository lists from `first` on,
/// in ascending order, until it returns false. Older WAL costs nothing, however much there is: one
/// listing of the timeline's directories, and one of each that may hold what is looked for. A
/// listing may lag.
void find_stored_segments(Repository& repository, const SegmentSearch& search,
                          const std::function<bool(uint64_t number)>& visit);
/// The same, with what the listing says of each.
void find_stored_segments(
    Repository& repository, const SegmentSearch& search,
    const std::function<bool(uint64_t number, const ObjectInfo& object)>& visit);

/// The lowest segment from `first` on that anything is stored of, whole or in pieces. Costs one
/// more listing.
std::optional<uint64_t> first_stored_segment(Repository& repository, const SegmentSearch& search);

}  // namespace ark
