#include "core/verify/wal.hpp"

#include <gtest/gtest.h>

#include "test/support/expect_error.hpp"
#include "test/unit/verify/verified_backup.hpp"

namespace ark {
namespace {

using test::findings_of;
using test::mentions;
using test::WalBuilder;

// Segments 32 to 35; the backup needs 32.
class VerifyWalTest : public testing::Test {
 protected:
    void remove(uint64_t number, TimelineId timeline = 1) {
        all.base->remove(all.segment_name(WalBuilder::name(number, timeline)));
    }
    std::string finding(uint64_t number, TimelineId timeline = 1) const {
        return "wal " + all.segment_name(WalBuilder::name(number, timeline)) + "\n";
    }
    std::string history_name_of(TimelineId timeline) const {
        return all.name_of(place::history(timeline));
    }
    std::string texts(const Evidence& e) const {
        std::string out;
        for (const Finding& f : e.errors.kept)
            out += f.message + "; " + f.detail + "\n";
        return out;
    }
    // Timeline 2 leaves timeline 1 in segment 34, and goes on to the end of 37.
    void branch() {
        WalBuilder child(test::VerifiedBackup::kFirst);
        child.fill_segment();
        child.fill_segment();
        for (int i = 0; i < 100; ++i)
            child.add_of_size(500);
        fork = child.position();
        child.set_timeline(2);
        for (int i = 0; i < 4; ++i)
            child.fill_segment();
        all.store();
        for (uint64_t n = 34; n <= 37; ++n)
            all.put_segment(WalBuilder::name(n, 2), child.segment(n));
        // What timeline 1 has before the fork is the same.
        for (uint64_t n = 32; n <= 33; ++n)
            all.put_segment(WalBuilder::name(n), child.segment(n));
        all.put(history_name_of(2), as_bytes("1\t" + to_text(fork) + "\tno reason\n"));
    }

    test::VerifiedBackup all;
    Lsn fork = 0;
};

TEST_F(VerifyWalTest, SegmentsInTheMiddleAreMissing) {
    all.store();
    remove(33);
    remove(34);
    const Evidence e = all.verify();
    EXPECT_EQ(findings_of(e), finding(33));
    EXPECT_TRUE(mentions(texts(e), "\"" + WalBuilder::name(33) + "\" to \"" + WalBuilder::name(34) +
                                       "\" are missing; Segment \"" + WalBuilder::name(35)))
        << texts(e);
    EXPECT_EQ(e.verified.at("wal").at("segments"), 2);
}

TEST_F(VerifyWalTest, TheNewestMayEndAnywhere) {
    all.store();
    remove(35);
    remove(34);
    EXPECT_EQ(findings_of(all.verify()), "");
}

TEST_F(VerifyWalTest, TheBackupsOwnIsMissing) {
    all.store();
    remove(32);
    const Evidence e = all.verify();
    EXPECT_EQ(findings_of(e), finding(32));
    EXPECT_TRUE(mentions(texts(e), "cannot become consistent")) << texts(e);
    for (uint64_t n = 33; n <= 35; ++n)
        remove(n);
    EXPECT_EQ(findings_of(all.verify()), finding(32));
}

TEST_F(VerifyWalTest, OneDamagedSegmentDoesNotHideTheNext) {
    all.store();
    all.flip(all.segment_name(WalBuilder::name(33)), 0.5);
    all.flip(all.segment_name(WalBuilder::name(34)), 0.01);
    EXPECT_EQ(findings_of(all.verify()), finding(33) + finding(34));
    remove(33);
    EXPECT_EQ(findings_of(all.verify()), finding(33) + finding(34));
}

// The archiver lets such a segment pass (docs/architecture.md "Archiving").
TEST_F(VerifyWalTest, ARecordWithAWrongChecksum) {
    all.store();
    Bytes bytes = all.wal.segment(34);
    bytes[500000] ^= std::byte{1};
    all.put_segment(WalBuilder::name(34), bytes);
    const Evidence e = all.verify();
    EXPECT_EQ(findings_of(e), finding(34));
    EXPECT_TRUE(mentions(texts(e), "checksum")) << texts(e);
}

TEST_F(VerifyWalTest, SegmentOfAnotherCluster) {
    all.store();
    for (const uint64_t number : {32, 33}) {
        WalBuilder other(number);
        other.system_identifier = 5;
        other.fill_segment();
        all.put_segment(WalBuilder::name(number), other.segment(number));
        EXPECT_EQ(findings_of(all.verify()), finding(number));
        all.put_segment(WalBuilder::name(number), all.wal.segment(number));
    }
}

TEST_F(VerifyWalTest, AnotherSegmentInItsPlace) {
    all.store();
    all.put(all.segment_name(WalBuilder::name(33)),
            all.bytes_of(all.segment_name(WalBuilder::name(34))));
    const Evidence e = all.verify();
    EXPECT_EQ(findings_of(e), finding(33));
    EXPECT_TRUE(mentions(texts(e), "wrong place")) << texts(e);
}

// A running server stores ahead: what is missing for a moment is no damage.
TEST_F(VerifyWalTest, WaitsForASegmentThatIsOnItsWay) {
    all.store();
    remove(34);
    all.patience = 2000;
    int asked = 0;
    all.before_call = [&](const std::string& call, const std::string& name) {
        if (call == "get" && name == all.segment_name(WalBuilder::name(34)) && ++asked == 2)
            all.put_segment(WalBuilder::name(34), all.wal.segment(34));
    };
    EXPECT_EQ(findings_of(all.verify()), "");
    EXPECT_GE(asked, 2);
}

TEST_F(VerifyWalTest, FollowsTheNewestTimeline) {
    branch();
    const Evidence e = all.verify();
    EXPECT_EQ(findings_of(e), "") << texts(e);
    EXPECT_EQ(e.verified.at("wal").at("last"), WalBuilder::name(37, 2));
    EXPECT_EQ(e.verified.at("wal").at("timelines").size(), 2U);
    remove(36, 2);
    EXPECT_EQ(findings_of(all.verify()), finding(36, 2));
}

TEST_F(VerifyWalTest, MissingHistoryOfALaterTimeline) {
    branch();
    all.base->remove(history_name_of(2));
    const Evidence e = all.verify();
    EXPECT_TRUE(mentions(findings_of(e), "wal " + history_name_of(2) + "\n")) << findings_of(e);
}

TEST_F(VerifyWalTest, DamagedHistory) {
    branch();
    all.put(history_name_of(2), as_bytes("1\t0/zzz\tno reason\n"));
    EXPECT_TRUE(mentions(findings_of(all.verify()), "wal " + history_name_of(2) + "\n"));
}

TEST_F(VerifyWalTest, MissingHistoryOfTheBackupsOwnTimeline) {
    all.backup.marker.timeline = 2;
    branch();
    all.base->remove(history_name_of(2));
    EXPECT_TRUE(mentions(findings_of(all.verify()), "wal " + history_name_of(2) + "\n"));
}

// A timeline that leaves before the backup's end is not on its way; a gap on it is others' loss.
TEST_F(VerifyWalTest, ATimelineThatTheBackupIsNotOn) {
    branch();
    all.put(history_name_of(3), as_bytes("1\t0/2000080\tno reason\n"));
    all.put_segment(WalBuilder::name(40, 3), all.wal.segment(35));
    const Evidence e = all.verify();
    EXPECT_EQ(findings_of(e), "");
    EXPECT_EQ(e.verified.at("wal").at("last"), WalBuilder::name(37, 2));
}

// Nothing archived on the new timeline yet: the old one's segment serves up to the fork.
TEST_F(VerifyWalTest, PromotedAMomentAgo) {
    branch();
    for (uint64_t n = 34; n <= 37; ++n)
        remove(n, 2);
    WalBuilder parent(test::VerifiedBackup::kFirst);
    parent.fill_segment();
    parent.fill_segment();
    for (int i = 0; i < 100; ++i)
        parent.add_of_size(500);
    ASSERT_EQ(parent.position(), fork);
    parent.fill_segment();
    all.put_segment(WalBuilder::name(34), parent.segment(34));
    const Evidence e = all.verify();
    EXPECT_EQ(findings_of(e), "") << texts(e);
    EXPECT_EQ(e.verified.at("wal").at("segments"), 3);
}

}  // namespace
}  // namespace ark
