#include "core/pgdata/wal_segment.hpp"

#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "test/unit/wal_builder.hpp"

namespace ark {
namespace {

using test::WalBuilder;
constexpr uint64_t kSize = WalBuilder::kSegmentSize;
const WalOrigin kOrigin{WalBuilder::kSystemIdentifier, kSize};

Bytes full_segment(uint64_t number, TimelineId timeline = 1) {
    WalBuilder builder(number, timeline);
    builder.fill_segment();
    return builder.segment(number);
}

std::string name(uint64_t number, TimelineId timeline = 1) {
    return WalBuilder::name(number, timeline);
}

// The message and detail with which the segment is refused; empty when it isn't.
std::string refusal(ByteView bytes, const std::string& as, const WalOrigin& origin = kOrigin) {
    try {
        check_complete_segment(bytes, as, origin);
        return {};
    } catch (const Error& error) {
        EXPECT_EQ(error.code, ErrorCode::corrupt);
        return error.message + ": " + error.detail;
    }
}
void expect_refused(ByteView bytes, const std::string& as, const std::string& why) {
    EXPECT_NE(refusal(bytes, as).find(why), std::string::npos) << refusal(bytes, as);
}

TEST(WalSegment, AcceptsAFullSegment) {
    EXPECT_EQ(refusal(full_segment(5), name(5)), "");
}

TEST(WalSegment, AcceptsARecordThatFillsItAndMore) {
    WalBuilder builder(5);
    builder.add_of_size(100);
    builder.add_of_size(3 * kSize);
    builder.fill_segment();
    for (uint64_t n = 5; n <= 8; ++n)
        EXPECT_EQ(refusal(builder.segment(n), name(n)), "") << n;
}

TEST(WalSegment, AcceptsASwitchedSegment) {
    for (const uint32_t size : {100U, 8000U, 200000U}) {
        WalBuilder builder(5);
        builder.add_of_size(size);
        builder.add_switch();
        EXPECT_EQ(refusal(builder.segment(5), name(5)), "") << size;
    }
}

TEST(WalSegment, AcceptsASwitchBehindARecordOfTheSegmentBefore) {
    WalBuilder builder(5);
    builder.add_of_size(kSize + 30000);
    builder.add_switch();
    EXPECT_EQ(refusal(builder.segment(6), name(6)), "");
}

TEST(WalSegment, AcceptsOneWithARecordThatACrashCutOff) {
    WalBuilder builder(5);
    builder.add_of_size(100);
    builder.add_abandoned(30000);
    builder.fill_segment();
    EXPECT_EQ(refusal(builder.segment(5), name(5)), "");
}

TEST(WalSegment, AcceptsPagesOfAnAncestor) {
    WalBuilder builder(5, 1);
    while (builder.position() < 5 * kSize + 50000)
        builder.add_of_size(500);
    builder.set_timeline(3);
    builder.fill_segment();
    EXPECT_EQ(refusal(builder.segment(5), name(5, 3)), "");
    expect_refused(builder.segment(5), name(5, 2), "of another timeline");
}

// Only structure decides: refusing a damaged segment would hold up all that follow it.
TEST(WalSegment, AcceptsARecordThatDoesNotMatchItsChecksum) {
    Bytes bytes = full_segment(5);
    bytes[5000] ^= std::byte{1};
    EXPECT_EQ(refusal(bytes, name(5)), "");
}

TEST(WalSegment, RefusesZerosWithoutASwitch) {
    WalBuilder builder(5);
    builder.add_of_size(50000);
    expect_refused(builder.segment(5), name(5), "no switch record ends the segment");
    expect_refused(Bytes(kSize), name(5), "It begins with zeros");
    // One page short.
    Bytes bytes = full_segment(5);
    std::fill(bytes.end() - 8192, bytes.end(), std::byte{0});
    expect_refused(bytes, name(5), "At 0/5FE000 (byte 1040384): the page is empty");
}

TEST(WalSegment, RefusesASegmentWhoseLastRecordsAreMissing) {
    WalBuilder builder(5);
    while (builder.position() < 6 * kSize - 3000)
        builder.add_of_size(500);
    expect_refused(builder.segment(5), name(5), "there is no further record");
}

TEST(WalSegment, RefusesPagesOfAnEarlierUse) {
    const Bytes earlier = full_segment(2);
    Bytes bytes = full_segment(5);
    std::copy(earlier.begin() + 81920, earlier.end(), bytes.begin() + 81920);
    expect_refused(bytes, name(5), "0/214000: it is left from an earlier use of the file");
    // A single one, as when a write was lost.
    bytes = full_segment(5);
    std::copy(earlier.begin() + 81920, earlier.begin() + 90112, bytes.begin() + 81920);
    expect_refused(bytes, name(5), "left from an earlier use of the file");
    // None written yet.
    expect_refused(earlier, name(5), "a recycled file that was not written to yet");
}

TEST(WalSegment, RefusesAnotherSizeThanTheClusters) {
    const Bytes bytes = full_segment(5);
    expect_refused(ByteView(bytes).first(kSize - 8192), name(5), "wrong size");
    expect_refused(ByteView(bytes).first(100), name(5), "wrong size");
    expect_refused(ByteView(bytes).first(10), name(5), "not a WAL segment");
    expect_refused({}, name(5), "not a WAL segment");
    EXPECT_NE(refusal(bytes, name(5), {WalBuilder::kSystemIdentifier, 2 * kSize}), "");
}

TEST(WalSegment, RefusesAnotherCluster) {
    const Bytes bytes = full_segment(5);
    EXPECT_NE(refusal(bytes, name(5), {1, kSize}).find("from another cluster"), std::string::npos);
    EXPECT_EQ(refusal(bytes, name(5), {}), "");
}

TEST(WalSegment, RefusesAnotherPlace) {
    expect_refused(full_segment(5), name(6), "does not hold the WAL that its name says");
    expect_refused(full_segment(5, 2), name(5, 1), "of another timeline");
}

TEST(WalSegment, RefusesAPageWithAnotherMagic) {
    Bytes bytes = full_segment(5);
    store<uint16_t>(bytes, 40960, 0xD113);
    expect_refused(bytes, name(5), "does not have the magic number");
    EXPECT_NE(refusal(Bytes(kSize, std::byte{0x55}), name(5)), "");
}

TEST(WalSegment, RefusesASwitchThatDoesNotMatchItsChecksum) {
    WalBuilder builder(5);
    builder.add_of_size(100);
    const Lsn lsn = builder.add_switch();
    Bytes bytes = builder.segment(5);
    bytes[lsn - 5 * kSize + 4] ^= std::byte{1};
    expect_refused(bytes, name(5), "checksum");
}

// A server that is killed while it writes the zeros behind a switch leaves the recycled file's old
// pages there; recovery goes on in the next segment, and the archiver is offered this one as it is.
TEST(WalSegment, AcceptsPagesOfAnEarlierUseBehindASwitch) {
    WalBuilder builder(5);
    builder.add_of_size(100);
    builder.add_switch();
    Bytes bytes = builder.segment(5);
    const Bytes earlier = full_segment(2);
    std::copy(earlier.begin() + 81920, earlier.end(), bytes.begin() + 81920);
    EXPECT_EQ(refusal(bytes, name(5)), "");
}

// The same of a machine that loses power: half of the switch record's own page, pages of a later
// place (a file recycled at a promotion), or pages of this segment that an earlier crash orphaned.
// No reader of WAL looks there. Refused, each would stop archiving for good.
TEST(WalSegment, WhatStandsBehindASwitchDoesNotMatter) {
    WalBuilder builder(5);
    builder.add_of_size(100);
    const Lsn lsn = builder.add_switch();
    const Bytes good = builder.segment(5);
    Bytes bytes = good;
    const size_t half_page = (lsn - 5 * kSize) / 4096 * 4096 + 4096;
    std::fill(bytes.begin() + half_page, bytes.begin() + half_page + 4096, std::byte{0x77});
    EXPECT_EQ(refusal(bytes, name(5)), "");
    for (const uint64_t other : {5, 9}) {
        bytes = good;
        const Bytes page = full_segment(other);
        std::copy(page.begin() + 81920, page.begin() + 90112, bytes.begin() + 81920);
        EXPECT_EQ(refusal(bytes, name(5)), "") << other;
    }
}

TEST(WalSegment, KnowsHowFarAPartialOneGoes) {
    WalBuilder builder(5);
    while (builder.position() < 5 * kSize + 50000)
        builder.add_of_size(500);
    const Lsn end = builder.position();
    EXPECT_EQ(end_of_valid_pages(builder.segment(5), 5), end);
    EXPECT_EQ(end_of_valid_pages(full_segment(5), 5), 6 * kSize);
    EXPECT_EQ(check_segment_header(builder.segment(5), name(5) + ".partial", kOrigin), 5U);
}

TEST(WalSegment, CutsFromAPosition) {
    Bytes bytes = full_segment(5);
    const Bytes whole = bytes;
    cut_segment(bytes, 5, 6 * kSize);
    EXPECT_EQ(bytes, whole);
    cut_segment(bytes, 5, 5 * kSize + 5000);
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.begin() + 5000, whole.begin()));
    EXPECT_TRUE(is_all_zero(ByteView(bytes).subspan(5000)));
    cut_segment(bytes, 5, 4 * kSize);
    EXPECT_TRUE(is_all_zero(bytes));
}

}  // namespace
}  // namespace ark
