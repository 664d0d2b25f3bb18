#include "core/drill/map_check.hpp"

#include "core/pgdata/heap_page.hpp"

namespace ark {

void MapCheck::add(ByteView page, uint64_t block) {
    const VisibilityMap::State state = map_.of(block);
    if (!state.is_set())
        return;
    if (!is_marked_all_visible(page)) {
        if (unmarked_pages_++ == 0)
            unmarked_ = block;
    }
    if (!state.all_frozen)
        return;
    const NotFrozen rows = find_not_frozen(page);
    if (rows.count == 0)
        return;
    if (!not_frozen_) {
        not_frozen_ = block;
        not_frozen_row_ = rows.first;
    }
    not_frozen_rows_ += rows.count;
}

std::vector<MapCheck::Conflict> MapCheck::conflicts() const {
    std::vector<Conflict> out;
    if (unmarked_)
        out.push_back({*unmarked_,
                       "the visibility map takes all of the page for visible, the page itself does "
                       "not: so it is with " +
                           std::to_string(unmarked_pages_) + " pages of the file"});
    if (not_frozen_)
        out.push_back({*not_frozen_, "the visibility map takes all of the page for frozen, row " +
                                         std::to_string(not_frozen_row_) +
                                         " is not: so it is with " +
                                         std::to_string(not_frozen_rows_) + " rows of the file"});
    return out;
}

}  // namespace ark
