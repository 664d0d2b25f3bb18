#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/pgdata/visibility_map.hpp"

namespace ark {

/// Holds one file of a table against the table's visibility map, page by page in their order.
///
/// A change of a page takes both of its marks away, the map's and the page's own. One that is left
/// in the map alone is of another time: rows of the page would not be seen by an index-only scan,
/// and VACUUM would pass them by.
class MapCheck {
 public:
    explicit MapCheck(VisibilityMap map) : map_(std::move(map)) {}

    void add(ByteView page, uint64_t block);

    struct Conflict {
        uint64_t block = 0;  ///< the first one
        std::string message;
    };
    std::vector<Conflict> conflicts() const;

 private:
    VisibilityMap map_;
    std::optional<uint64_t> unmarked_;  ///< the first block
    uint64_t unmarked_pages_ = 0;
    std::optional<uint64_t> not_frozen_;
    uint16_t not_frozen_row_ = 0;
    uint64_t not_frozen_rows_ = 0;
};

}  // namespace ark
