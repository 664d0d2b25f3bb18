#include "core/pgdata/heap_page.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include <gtest/gtest.h>

namespace ark {
namespace {

constexpr uint16_t kXminCommitted = 0x0100;
constexpr uint16_t kXminInvalid = 0x0200;
constexpr uint16_t kXmaxCommitted = 0x0400;
constexpr uint16_t kXmaxInvalid = 0x0800;
constexpr uint16_t kXmaxIsMulti = 0x1000;
constexpr uint16_t kLockOnly = 0x0080;
constexpr uint16_t kExclusive = 0x0040;

template <typename T>
void put(Bytes& page, size_t at, T value) {
    std::memcpy(page.data() + at, &value, sizeof(value));
}

/// A page of a table with rows, of which the headers alone are filled in.
class Page {
 public:
    Page() : bytes_(8192) {
        put<uint16_t>(bytes_, 12, 24);
        put<uint16_t>(bytes_, 14, 8192);
        put<uint16_t>(bytes_, 16, 8192);
    }
    Page& add(uint32_t xmin, uint32_t xmax, uint16_t infomask, uint32_t item_flags = 1) {
        upper_ -= 32;
        put<uint32_t>(bytes_, lower_, upper_ | item_flags << 15 | 28U << 17);
        lower_ += 4;
        put<uint32_t>(bytes_, upper_, xmin);
        put<uint32_t>(bytes_, upper_ + 4, xmax);
        put<uint16_t>(bytes_, upper_ + 20, infomask);
        put<uint16_t>(bytes_, 12, static_cast<uint16_t>(lower_));
        put<uint16_t>(bytes_, 14, static_cast<uint16_t>(upper_));
        return *this;
    }
    Bytes& bytes() { return bytes_; }

 private:
    Bytes bytes_;
    uint32_t lower_ = 24;
    uint32_t upper_ = 8192;
};

// Even ones have committed, odd ones have not; of those below 100 nothing is known.
std::optional<bool> committed(uint32_t xid) {
    return xid < 100 ? std::nullopt : std::optional(xid % 2 == 0);
}

std::optional<HintConflict> conflict_in(Page page) {
    return find_hint_conflict(page.bytes(), committed);
}

TEST(HeapPage, RowsThatAgree) {
    EXPECT_FALSE(conflict_in(Page()));
    EXPECT_FALSE(conflict_in(Page()
                                 .add(200, 0, kXminCommitted | kXmaxInvalid)
                                 .add(201, 0, kXminInvalid | kXmaxInvalid)
                                 .add(200, 202, kXminCommitted | kXmaxCommitted)
                                 .add(200, 203, kXminCommitted | kXmaxInvalid)));
}

TEST(HeapPage, WhatNobodyHasReadSaysNothing) {
    EXPECT_FALSE(conflict_in(Page().add(201, 0, 0).add(200, 203, 0)));
}

TEST(HeapPage, FrozenRowsAndOldTransactionsSayNothing) {
    EXPECT_FALSE(conflict_in(Page()
                                 .add(201, 0, kXminCommitted | kXminInvalid)
                                 .add(99, 97, kXminCommitted | kXmaxCommitted)
                                 .add(201, 0, kXminCommitted | 0x4000)));
}

TEST(HeapPage, LockersMayDoAsTheyLike) {
    for (const uint16_t locks : {kLockOnly, kExclusive, kXmaxIsMulti, kXmaxInvalid}) {
        EXPECT_FALSE(conflict_in(
            Page().add(200, 203, static_cast<uint16_t>(kXminCommitted | kXmaxCommitted | locks))))
            << locks;
    }
}

TEST(HeapPage, MakersAndDeletersOfWhomTheLogSaysOtherwise) {
    auto found = conflict_in(Page().add(200, 0, kXminCommitted).add(201, 0, kXminCommitted));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->item, 2);
    EXPECT_EQ(found->xid, 201U);
    EXPECT_FALSE(found->of_deleter);
    EXPECT_TRUE(found->said_committed);
    found = conflict_in(Page().add(202, 0, kXminInvalid));
    ASSERT_TRUE(found);
    EXPECT_FALSE(found->said_committed);
    found = conflict_in(Page().add(200, 205, kXminCommitted | kXmaxCommitted));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->xid, 205U);
    EXPECT_TRUE(found->of_deleter);
}

TEST(HeapPage, WhatIsNoRowIsPassedOver) {
    for (const uint32_t flags : {0U, 2U, 3U})
        EXPECT_FALSE(conflict_in(Page().add(201, 0, kXminCommitted, flags))) << flags;
    Page behind;
    behind.add(201, 0, kXminCommitted);
    put<uint32_t>(behind.bytes(), 24, 8180U | 1U << 15);
    EXPECT_FALSE(conflict_in(behind));
}

TEST(HeapPage, OtherPages) {
    for (const uint16_t special : {uint16_t{8176}, uint16_t{0}, uint16_t{0xFFFF}}) {
        Page page;
        page.add(201, 0, kXminCommitted);
        EXPECT_TRUE(may_be_heap_page(page.bytes()));
        put<uint16_t>(page.bytes(), 16, special);
        EXPECT_FALSE(may_be_heap_page(page.bytes()));
        EXPECT_FALSE(conflict_in(page));
    }
    EXPECT_FALSE(may_be_heap_page(Bytes(8192)));
    EXPECT_FALSE(find_hint_conflict(Bytes(8192, std::byte{0xFF}), committed));
    Page crossed;
    crossed.add(201, 0, kXminCommitted);
    put<uint16_t>(crossed.bytes(), 12, uint16_t{8192});
    EXPECT_FALSE(conflict_in(crossed));
}

NotFrozen not_frozen_in(Page page) {
    return find_not_frozen(page.bytes());
}

TEST(HeapPage, WhatTheServerRefusesIsNotCounted) {
    Page page;
    page.add(200, 0, kXminCommitted | kXmaxInvalid);
    put<uint16_t>(page.bytes(), 10, 0x0004);
    EXPECT_EQ(count_rows(page.bytes()), 1U);
    put<uint16_t>(page.bytes(), 10, 0x0014);
    EXPECT_FALSE(count_rows(page.bytes()));
    ColumnNulls nulls;
    nulls.add(page.bytes());
    EXPECT_FALSE(nulls.has_value_in_all_rows(1));
}

TEST(HeapPage, FrozenRows) {
    constexpr uint16_t kFrozen = kXminCommitted | kXminInvalid;
    EXPECT_EQ(not_frozen_in(Page()).count, 0U);
    EXPECT_EQ(not_frozen_in(Page()
                                .add(200, 0, kFrozen | kXmaxInvalid)
                                .add(2, 0, kXminCommitted)  // as before 9.4
                                .add(200, 2, kFrozen)       // FrozenTransactionId
                                .add(200, 0, kFrozen | kXmaxIsMulti)
                                .add(200, 0, kXminCommitted, 0)  // no row: unused, redirected
                                .add(200, 0, kXminCommitted, 2))
                  .count,
              0U);
}

TEST(HeapPage, RowsThatAreNotFrozen) {
    constexpr uint16_t kFrozen = kXminCommitted | kXminInvalid;
    constexpr uint16_t kMovedIn = 0x8000;
    const NotFrozen found =
        not_frozen_in(Page().add(200, 0, kFrozen).add(200, 0, kXminCommitted).add(3, 0, 0));
    EXPECT_EQ(found.count, 2U);
    EXPECT_EQ(found.first, 2);
    EXPECT_EQ(not_frozen_in(Page().add(200, 3, kFrozen)).count, 1U);
    EXPECT_EQ(not_frozen_in(Page().add(200, 1, kFrozen | kXmaxIsMulti)).count, 1U);
    EXPECT_EQ(not_frozen_in(Page().add(200, 0, kFrozen, 3)).count, 1U);  // a dead pointer
    Page moved;
    moved.add(200, 0, kFrozen | kMovedIn);
    EXPECT_EQ(not_frozen_in(moved).count, 0U);
    put<uint32_t>(moved.bytes(), 8192 - 32 + 8, 3U);
    EXPECT_EQ(not_frozen_in(moved).count, 1U);
}

/// A page of one row with these columns; those of `nulls` (from 1 on) have no value.
Bytes page_of_row(uint16_t columns, const std::vector<unsigned>& nulls, uint32_t row_bytes = 64) {
    Page page;
    page.add(200, 0, nulls.empty() ? 0 : 0x0001);
    Bytes& bytes = page.bytes();
    const uint32_t at = 8192 - row_bytes;
    std::copy_n(bytes.begin() + 8192 - 32, 23, bytes.begin() + at);
    put<uint32_t>(bytes, 24, at | 1U << 15 | row_bytes << 17);
    put<uint16_t>(bytes, 14, static_cast<uint16_t>(at));
    put<uint16_t>(bytes, at + 18,
                  static_cast<uint16_t>(columns | 0x8000));  // flags above the count
    for (unsigned i = 0; !nulls.empty() && i < columns; ++i) {
        if (std::ranges::find(nulls, i + 1) == nulls.end() && 23 + i / 8 < row_bytes)
            bytes[at + 23 + i / 8] |= std::byte{1} << i % 8;
    }
    return bytes;
}

TEST(ColumnNulls, OfRows) {
    ColumnNulls nulls;
    EXPECT_TRUE(nulls.has_value_in_all_rows(1600));  // of no rows
    EXPECT_FALSE(nulls.has_value_in_all_rows(0));
    EXPECT_FALSE(nulls.has_value_in_all_rows(1601));
    nulls.add(page_of_row(20, {}));
    EXPECT_TRUE(nulls.has_value_in_all_rows(20));
    EXPECT_FALSE(nulls.has_value_in_all_rows(21));  // added later: another value than the row's
    nulls.add(page_of_row(12, {2, 9}));
    for (uint32_t column = 1; column <= 20; ++column)
        EXPECT_EQ(nulls.has_value_in_all_rows(column), column <= 12 && column != 2 && column != 9)
            << column;
}

TEST(ColumnNulls, OfSeveralFiles) {
    ColumnNulls one;
    one.add(page_of_row(5, {3}));
    ColumnNulls other;
    other.add(page_of_row(4, {1}));
    one.add(other);
    for (uint32_t column = 1; column <= 5; ++column)
        EXPECT_EQ(one.has_value_in_all_rows(column), column == 2 || column == 4) << column;
    other.add_unreadable();
    one.add(other);
    EXPECT_FALSE(one.has_value_in_all_rows(2));
}

TEST(ColumnNulls, WhatIsNoRowSaysNothing) {
    const auto knows = [](const Bytes& page) {
        ColumnNulls nulls;
        nulls.add(page);
        return nulls.has_value_in_all_rows(1);
    };
    EXPECT_TRUE(knows(page_of_row(5, {3})));
    EXPECT_FALSE(knows(Bytes(8192, std::byte{0xFF})));
    Bytes other = page_of_row(5, {});
    put<uint16_t>(other, 16, uint16_t{8176});  // of an index
    EXPECT_FALSE(knows(other));
    Bytes behind = page_of_row(5, {});
    put<uint32_t>(behind, 24, 8160U | 1U << 15 | 64U << 17);
    EXPECT_FALSE(knows(behind));
    Bytes tiny = page_of_row(5, {});
    put<uint32_t>(tiny, 24, 8128U | 1U << 15 | 22U << 17);
    EXPECT_FALSE(knows(tiny));
    EXPECT_FALSE(knows(page_of_row(2000, {3}, 512)));
    EXPECT_FALSE(knows(page_of_row(500, {3})));  // its bits end behind the row
}

}  // namespace
}  // namespace ark
