#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/file.hpp"

namespace ark {

/// What a table's visibility map says of its blocks (src/include/access/visibilitymapdefs.h: two
/// bits for each block). For blocks that are asked for in rising order; one thread.
class VisibilityMap {
 public:
    /// `first_file`: of the table, the first of its main fork. A table without a map has none of
    /// its blocks in it. `checksums`: pages of the map that do not match theirs, which are damage
    /// of their own, say nothing.
    VisibilityMap(std::string first_file, uint32_t blocks_per_segment, bool checksums);

    struct State {
        bool all_visible = false;
        bool all_frozen = false;
        bool is_set() const { return all_visible || all_frozen; }
    };
    /// Error: system_error's.
    State of(uint64_t block);

    /// Blocks of a table that one page of the map tells of.
    static constexpr uint64_t kBlocksOfPage = 32672;  // (8192 - 24) * 4

 private:
    void load_page(uint64_t number);

    const std::string path_;
    const uint32_t blocks_per_segment_;
    const bool checksums_;
    std::optional<File> file_;
    std::optional<uint64_t> segment_;  ///< of the file
    std::optional<uint64_t> loaded_;   ///< the page's number
    Bytes page_;                       ///< empty: it says nothing
};

}  // namespace ark
