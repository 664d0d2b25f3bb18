#include "core/pgdata/page.hpp"

#include <gtest/gtest.h>

#include "test/support/pages.hpp"

namespace ark {
namespace {

using test::Runs;

Bytes page_of(const Runs& runs) {
    return test::from_runs(kPageBytes, runs);
}

// Pages that PostgreSQL 15's initdb -k wrote, as runs of what is not zero.
const Runs kEmptyHash = {
    {4, "405c0301100000004800f01ff01f0420000000006231050004"}, {62, "f0bf01"}, {8188, "08"}};
const Runs kEmptyHeapBlock1 = {
    {4, "c0f0460112b200001c00e01ff01f042000000000e09f20"}, {8164, "01001000f734"}, {8188, "03"}};
const Runs kIndexBlock3 = {{4, "40fe3301397100002000d81ff01f042000000000e89f1000d89f20"},
                           {8154, "0200010010208f2f"},
                           {8170, "010000000820"},
                           {8184, "0100000002"}};

TEST(Page, ChecksumsOfRealPages) {
    EXPECT_EQ(check_page(page_of(kEmptyHash), 0), PageState::valid);
    EXPECT_EQ(check_page(page_of(kEmptyHeapBlock1), 1), PageState::valid);
    EXPECT_EQ(check_page(page_of(kIndexBlock3), 3), PageState::valid);
    EXPECT_EQ(page_lsn(page_of(kEmptyHeapBlock1)), Lsn{0x146F0C0});
}

TEST(Page, APageOfAnotherBlockIsCaught) {
    EXPECT_EQ(check_page(page_of(kEmptyHeapBlock1), 0), PageState::bad_checksum);
    EXPECT_EQ(check_page(page_of(kIndexBlock3), 131075), PageState::bad_checksum);
}

TEST(Page, EveryFlippedByteIsCaught) {
    Bytes page = page_of(kIndexBlock3);
    for (size_t i = 0; i < kPageBytes; ++i) {
        page[i] ^= std::byte{0x10};
        ASSERT_NE(check_page(page, 3), PageState::valid) << i;
        page[i] ^= std::byte{0x10};
    }
    EXPECT_EQ(check_page(page, 3), PageState::valid);
}

TEST(Page, NewPagesAreEmptyOnlyWhenAllZero) {
    Bytes page(kPageBytes);
    EXPECT_EQ(check_page(page, 7), PageState::empty);
    page[kPageBytes - 1] = std::byte{1};
    EXPECT_EQ(check_page(page, 7), PageState::bad_header);
    page = test::make_page(7, 0x100, 1);
    store<uint16_t>(page, 14, 0);
    test::set_checksum(page, 7);
    EXPECT_EQ(check_page(page, 7), PageState::bad_header);
}

TEST(Page, LsnHasItsHighHalfFirst) {
    EXPECT_EQ(page_lsn(test::make_page(0, 0x0000000A00000B00ULL, 1)), 0x0000000A00000B00ULL);
}

TEST(Page, ChecksumIsNeverZero) {
    for (uint32_t block = 0; block < 70000; block += 7)
        ASSERT_NE(page_checksum(page_of(kIndexBlock3), block), 0);
}

}  // namespace
}  // namespace ark
