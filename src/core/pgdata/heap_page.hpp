#pragma once

#include <bitset>
#include <cstdint>
#include <functional>
#include <optional>

#include "core/base/bytes.hpp"

namespace ark {

/// Whether the page may be one of a table: pages of all indexes and of sequences have something
/// behind their rows. Nor is it one that a server refuses, checksums or not (PageIsVerified).
bool may_be_heap_page(ByteView page);

/// A row's header says of the transaction that made it, or of the one that deleted it, what the
/// commit log does not.
struct HintConflict {
    uint16_t item = 0;  ///< line pointer, from 1 on
    uint32_t xid = 0;
    bool of_deleter = false;
    bool said_committed = false;  ///< else: that it was not
};

/// The first one of the page, and there is one only where the header was written with knowledge:
/// who reads a row notes in it what became of these transactions (HEAP_XMIN_COMMITTED and others,
/// src/include/access/htup_details.h), and does so for good. `is_committed` gives nullopt where
/// nothing is known. What is no row counts as none.
std::optional<HintConflict> find_hint_conflict(
    ByteView page, const std::function<std::optional<bool>(uint32_t xid)>& is_committed);

/// PD_ALL_VISIBLE: every row of the page is there for everybody.
bool is_marked_all_visible(ByteView page);

/// How many rows a table's page has, be they visible or not; nullopt where it is none of a table.
std::optional<uint32_t> count_rows(ByteView page);

/// Line pointers (from 1 on) of what VACUUM cannot have left on a page that it froze: a pointer to
/// nothing, and rows with a transaction in their header (heap_tuple_needs_eventual_freeze in
/// src/backend/access/heap/heapam.c).
struct NotFrozen {
    uint16_t first = 0;
    uint32_t count = 0;
};
NotFrozen find_not_frozen(ByteView page);

/// Which columns of a table may be null, as its rows' headers have it. Rows that nobody sees any
/// more count too: what is said not to be null is so in no row.
class ColumnNulls {
 public:
    /// src/include/access/htup_details.h: MaxHeapAttributeNumber.
    static constexpr uint32_t kMostColumns = 1600;

    /// What is no page of a table, and no row, makes that nothing is known.
    void add(ByteView page);
    void add(const ColumnNulls& other);
    void add_unreadable() { unknown_ = true; }
    /// Whether each row stores a value of the column (from 1 on).
    bool has_value_in_all_rows(uint32_t column) const {
        return !unknown_ && column >= 1 && column <= shortest_ && !null_[column - 1];
    }

 private:
    void add_row(ByteView row);

    bool unknown_ = false;
    uint32_t shortest_ = kMostColumns;  ///< columns that every row stores
    std::bitset<kMostColumns> null_;
};

}  // namespace ark
