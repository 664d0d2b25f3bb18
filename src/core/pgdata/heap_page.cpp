#include "core/pgdata/heap_page.hpp"

#include <algorithm>

namespace ark {

namespace {

// src/include/storage/bufpage.h, itemid.h, access/htup_details.h. test/versions/layout.cpp
// compares.
constexpr size_t kFlags = 10;
constexpr size_t kLower = 12;
constexpr size_t kUpper = 14;
constexpr size_t kSpecial = 16;
constexpr size_t kItems = 24;
constexpr size_t kItemBytes = 4;
constexpr size_t kRowHeaderBytes = 23;
constexpr size_t kXmin = 0;
constexpr size_t kXmax = 4;
constexpr size_t kXvac = 8;
constexpr size_t kInfomask2 = 18;
constexpr size_t kInfomask = 20;
constexpr uint32_t kNormalItem = 1;
constexpr uint32_t kDeadItem = 3;

constexpr uint16_t kAllVisible = 0x0004;  // of the page's flags
constexpr uint16_t kValidFlags = 0x0007;
constexpr uint16_t kColumnsMask = 0x07FF;
constexpr uint32_t kFirstNormalXid = 3;

constexpr uint16_t kHasNull = 0x0001;

constexpr uint16_t kXmaxExclusiveLock = 0x0040;
constexpr uint16_t kXmaxKeyShareLock = 0x0010;
constexpr uint16_t kXmaxLockOnly = 0x0080;
constexpr uint16_t kXminCommitted = 0x0100;
constexpr uint16_t kXminInvalid = 0x0200;
constexpr uint16_t kXmaxCommitted = 0x0400;
constexpr uint16_t kXmaxInvalid = 0x0800;
constexpr uint16_t kXmaxIsMulti = 0x1000;
constexpr uint16_t kMoved = 0xC000;  // by a VACUUM FULL of before 9.0

bool is_lock_only(uint16_t mask) {
    constexpr uint16_t kLocks = kXmaxExclusiveLock | kXmaxKeyShareLock;
    return (mask & kXmaxLockOnly) != 0 || (mask & (kXmaxIsMulti | kLocks)) == kXmaxExclusiveLock;
}

/// A row's header.
class Row {
 public:
    explicit Row(ByteView bytes) : bytes_(bytes), mask_(load<uint16_t>(bytes, kInfomask)) {}

    // What it says of who made it; nullopt: nothing, or the row is frozen, whoever made it.
    std::optional<bool> maker_committed() const {
        const bool committed = (mask_ & kXminCommitted) != 0;
        const bool invalid = (mask_ & kXminInvalid) != 0;
        if (committed == invalid || (mask_ & kMoved) != 0)
            return std::nullopt;
        return committed;
    }
    // Whether it says that who deleted it has committed.
    bool deleter_committed() const {
        constexpr uint16_t kBits = kXmaxCommitted | kXmaxInvalid | kXmaxIsMulti;
        return (mask_ & kBits) == kXmaxCommitted && !is_lock_only(mask_);
    }
    // With a transaction in it whose end has to be known; it is the same for multixacts, of which
    // the first is 1.
    bool is_frozen() const {
        constexpr uint16_t kFrozen = kXminCommitted | kXminInvalid;
        if ((mask_ & kFrozen) != kFrozen && maker() >= kFirstNormalXid)
            return false;
        if ((mask_ & kXmaxIsMulti) != 0 ? deleter() != 0 : deleter() >= kFirstNormalXid)
            return false;
        return (mask_ & kMoved) == 0 || load<uint32_t>(bytes_, kXvac) < kFirstNormalXid;
    }
    uint32_t maker() const { return load<uint32_t>(bytes_, kXmin); }
    uint32_t deleter() const { return load<uint32_t>(bytes_, kXmax); }

 private:
    const ByteView bytes_;
    const uint16_t mask_;
};

/// A line pointer.
struct Item {
    explicit Item(uint32_t bits)
        : offset(bits & 0x7FFF), state(bits >> 15 & 3), bytes(bits >> 17) {}
    bool is_row(size_t page_bytes) const {
        return state == kNormalItem && offset + kRowHeaderBytes <= page_bytes;
    }
    size_t offset;
    uint32_t state;
    size_t bytes;
};

size_t items_of(ByteView page) {
    return (load<uint16_t>(page, kLower) - kItems) / kItemBytes;
}

Item item_of(ByteView page, size_t i) {
    return Item(load<uint32_t>(page, kItems + i * kItemBytes));
}

}  // namespace

bool may_be_heap_page(ByteView page) {
    const size_t lower = load<uint16_t>(page, kLower);
    const size_t upper = load<uint16_t>(page, kUpper);
    const bool has_flags = (load<uint16_t>(page, kFlags) & ~kValidFlags) == 0;
    return has_flags && load<uint16_t>(page, kSpecial) == page.size() && lower >= kItems &&
           lower <= upper && upper <= page.size();
}

std::optional<HintConflict> find_hint_conflict(
    ByteView page, const std::function<std::optional<bool>(uint32_t xid)>& is_committed) {
    if (!may_be_heap_page(page))
        return std::nullopt;
    const size_t items = items_of(page);
    for (size_t i = 0; i < items; ++i) {
        const Item item = item_of(page, i);
        if (!item.is_row(page.size()))
            continue;
        const Row row(page.subspan(item.offset, kRowHeaderBytes));
        const auto said = row.maker_committed();
        if (said && is_committed(row.maker()) == !*said)
            return HintConflict{static_cast<uint16_t>(i + 1), row.maker(), false, *said};
        if (row.deleter_committed() && is_committed(row.deleter()) == false)
            return HintConflict{static_cast<uint16_t>(i + 1), row.deleter(), true, true};
    }
    return std::nullopt;
}

bool is_marked_all_visible(ByteView page) {
    return (load<uint16_t>(page, kFlags) & kAllVisible) != 0;
}

std::optional<uint32_t> count_rows(ByteView page) {
    if (!may_be_heap_page(page))
        return std::nullopt;
    uint32_t rows = 0;
    const size_t items = items_of(page);
    for (size_t i = 0; i < items; ++i)
        rows += item_of(page, i).state == kNormalItem ? 1 : 0;
    return rows;
}

NotFrozen find_not_frozen(ByteView page) {
    NotFrozen out;
    if (!may_be_heap_page(page))
        return out;
    const size_t items = items_of(page);
    for (size_t i = 0; i < items; ++i) {
        const Item item = item_of(page, i);
        const bool is_row = item.is_row(page.size());
        if (item.state != kDeadItem &&
            (!is_row || Row(page.subspan(item.offset, kRowHeaderBytes)).is_frozen()))
            continue;
        if (out.count++ == 0)
            out.first = static_cast<uint16_t>(i + 1);
    }
    return out;
}

void ColumnNulls::add(ByteView page) {
    if (!may_be_heap_page(page)) {
        unknown_ = true;
        return;
    }
    const size_t items = items_of(page);
    for (size_t i = 0; i < items; ++i) {
        const Item item = item_of(page, i);
        if (item.state != kNormalItem)
            continue;
        if (item.bytes < kRowHeaderBytes || item.offset + item.bytes > page.size()) {
            unknown_ = true;
            return;
        }
        add_row(page.subspan(item.offset, item.bytes));
    }
}

void ColumnNulls::add_row(ByteView row) {
    const uint32_t columns = load<uint16_t>(row, kInfomask2) & kColumnsMask;
    shortest_ = std::min(shortest_, columns);
    if ((load<uint16_t>(row, kInfomask) & kHasNull) == 0)
        return;
    if (columns > kMostColumns || kRowHeaderBytes + (columns + 7) / 8 > row.size()) {
        unknown_ = true;
        return;
    }
    for (uint32_t i = 0; i < columns; ++i) {
        if ((std::to_integer<unsigned>(row[kRowHeaderBytes + i / 8]) >> i % 8 & 1) == 0)
            null_.set(i);
    }
}

void ColumnNulls::add(const ColumnNulls& other) {
    unknown_ = unknown_ || other.unknown_;
    shortest_ = std::min(shortest_, other.shortest_);
    null_ |= other.null_;
}

}  // namespace ark
