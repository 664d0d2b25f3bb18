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
        return (number == test::VerifiedBackup::kFirst ? "wal " : "wal_after_backup ") +
               all.segment_name(WalBuilder::name(number, timeline)) + "\n";
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

    void put_piece_of(uint64_t number, const Bytes& bytes, uint64_t from, uint64_t to,
                      TimelineId timeline = 1) {
        const std::string where =
            place::tail(WalBuilder::name(number, timeline), static_cast<uint32_t>(from));
        const ByteView piece = ByteView(bytes).subspan(from, to - from);
        const ObjectHeader header{ObjectKind::tail,    where, "none", piece.size(),
                                  content_hash(piece), {}};
        all.put(all.name_of(where), seal_object(header, piece, 1));
    }
    void put_piece(uint64_t number, uint64_t from, uint64_t to) {
        put_piece_of(number, all.wal.segment(number), from, to);
    }
    void remove_piece(uint64_t number, uint32_t from) {
        all.base->remove(all.name_of(place::tail(WalBuilder::name(number), from)));
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
    // The backup itself can be restored, and is no further good than to there.
    EXPECT_FALSE(e.success);
    EXPECT_EQ(e.verified.at("backup_is_whole"), true);
    const Lsn end = parse_lsn(e.verified.at("wal").at("recoverable_to").get<std::string>()).value();
    EXPECT_LE(end, 33 * WalBuilder::kSegmentSize);
    EXPECT_GT(end, 33 * WalBuilder::kSegmentSize - 10000);
    EXPECT_TRUE(mentions(texts(e), "recovery from it is possible up to " + to_text(end)))
        << texts(e);
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
    EXPECT_EQ(e.verified.at("backup_is_whole"), false);
    EXPECT_FALSE(e.verified.at("wal").contains("recoverable_to"));
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
    all.put_segment(WalBuilder::name(36, 2), all.wal.segment(35));
    EXPECT_EQ(findings_of(all.verify()), finding(36, 2));
}

// The first segment of the new timeline, which has what the old one wrote before the fork too.
TEST_F(VerifyWalTest, AGapAtAChangeOfTimelines) {
    branch();
    remove(34, 2);
    remove(34);
    const Evidence e = all.verify();
    EXPECT_EQ(findings_of(e), finding(34, 2)) << texts(e);
    EXPECT_EQ(e.verified.at("backup_is_whole"), true);
    EXPECT_TRUE(mentions(texts(e), "\"" + WalBuilder::name(34, 2) + "\" is missing")) << texts(e);
    EXPECT_LE(parse_lsn(e.verified.at("wal").at("recoverable_to").get<std::string>()).value(),
              34 * WalBuilder::kSegmentSize);
}

TEST_F(VerifyWalTest, MissingHistoryOfALaterTimeline) {
    branch();
    all.base->remove(history_name_of(2));
    const Evidence e = all.verify();
    EXPECT_TRUE(mentions(findings_of(e), "wal_after_backup " + history_name_of(2) + "\n"))
        << findings_of(e);
}

TEST_F(VerifyWalTest, DamagedHistory) {
    branch();
    all.put(history_name_of(2), as_bytes("1\t0/zzz\tno reason\n"));
    EXPECT_TRUE(
        mentions(findings_of(all.verify()), "wal_after_backup " + history_name_of(2) + "\n"));
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

// ---- pieces

TEST_F(VerifyWalTest, PiecesOfTheNewestMayEndAnywhere) {
    all.store();
    remove(35);
    const uint64_t size = WalBuilder::kSegmentSize;
    for (const uint64_t end : {uint64_t{48}, uint64_t{8191}, uint64_t{8192}, uint64_t{8200},
                               uint64_t{8230}, size / 2, size / 2 + 1, size - 8}) {
        put_piece(35, 0, end);
        const Evidence e = all.verify();
        EXPECT_EQ(findings_of(e), "") << end << " " << texts(e);
        EXPECT_EQ(e.verified.at("wal").at("last"), WalBuilder::name(35));
        EXPECT_EQ(e.verified.at("wal").at("segments"), 4);
        remove_piece(35, 0);
    }
    for (uint64_t end = 100000; end < 100000 + 2100; end += 40) {
        put_piece(35, 0, end);
        ASSERT_EQ(findings_of(all.verify()), "") << end;
        remove_piece(35, 0);
    }
}

// A record goes on from the last whole segment into the pieces, and is not whole there.
TEST_F(VerifyWalTest, ARecordThatEndsBehindThePieces) {
    all.store();
    WalBuilder builder(test::VerifiedBackup::kFirst);
    builder.fill_segment_but(1000);
    builder.add_of_size(90000);
    for (int i = 0; i < 10; ++i)
        builder.add_of_size(1000);
    for (uint64_t n = 33; n <= 35; ++n)
        remove(n);
    all.put_segment(WalBuilder::name(32), builder.segment(32));
    for (const uint64_t end : {48, 8192, 8200, 9000, 89000, 91000, 95000}) {
        put_piece_of(33, builder.segment(33), 0, end);
        const Evidence e = all.verify();
        EXPECT_EQ(findings_of(e), "") << end << " " << texts(e);
        EXPECT_EQ(e.verified.at("wal").at("last"), WalBuilder::name(33));
        remove_piece(33, 0);
    }
    // But damage in a whole segment is not the archive's end.
    Bytes bytes = builder.segment(32);
    const uint64_t record = builder.position() - 10 * 1008;  // somewhere behind the long one
    ASSERT_GT(record, 33 * WalBuilder::kSegmentSize);
    bytes[WalBuilder::kSegmentSize - 1000 + 8] ^= std::byte{1};  // its link
    all.put_segment(WalBuilder::name(32), bytes);
    put_piece_of(33, builder.segment(33), 0, 9000);
    EXPECT_NE(findings_of(all.verify()), "");
}

TEST_F(VerifyWalTest, ATornLastPieceIsAnEnd) {
    all.store();
    remove(35);
    put_piece(35, 0, 30000);
    put_piece(35, 30000, 60000);
    all.flip(all.name_of(place::tail(WalBuilder::name(35), 30000)), 0.9);
    EXPECT_EQ(findings_of(all.verify()), "");
}

TEST_F(VerifyWalTest, ATornPieceBeforeAnotherIsDamage) {
    all.store();
    remove(35);
    put_piece(35, 0, 30000);
    put_piece(35, 30000, 60000);
    put_piece(35, 60000, 70000);
    all.flip(all.name_of(place::tail(WalBuilder::name(35), 30000)), 0.9);
    EXPECT_EQ(
        findings_of(all.verify()),
        "wal_after_backup " + all.name_of(place::tail_directory(WalBuilder::name(35))) + "\n");
}

TEST_F(VerifyWalTest, ARecordInPiecesWithAWrongChecksum) {
    all.store();
    remove(35);
    Bytes bytes = all.wal.segment(35);
    bytes[40500] ^= std::byte{1};
    put_piece_of(35, bytes, 0, 60000);
    EXPECT_EQ(
        findings_of(all.verify()),
        "wal_after_backup " + all.name_of(place::tail_directory(WalBuilder::name(35))) + "\n");
}

TEST_F(VerifyWalTest, CompleteChainsAreSegments) {
    all.store();
    remove(34);
    put_piece(34, 0, 500000);
    put_piece(34, 500000, WalBuilder::kSegmentSize);
    const Evidence e = all.verify();
    EXPECT_EQ(findings_of(e), "");
    EXPECT_EQ(e.verified.at("wal").at("segments"), 4);
}

TEST_F(VerifyWalTest, UnfinishedSegmentsBeforeLaterOnesAreMissing) {
    all.store();
    remove(34);
    put_piece(34, 0, 500000);
    EXPECT_EQ(findings_of(all.verify()), finding(34));
    remove(33);
    put_piece(33, 0, 500000);
    remove_piece(34, 0);
    EXPECT_EQ(findings_of(all.verify()), finding(33));  // to 34
}

TEST_F(VerifyWalTest, WaitsForAnUnfinishedSegmentThatIsOnItsWay) {
    all.store();
    remove(33);
    remove(34);
    put_piece(33, 0, 500000);
    all.patience = 2000;
    int asked = 0;
    all.before_call = [&](const std::string& call, const std::string& name) {
        if (call == "get" && name == all.segment_name(WalBuilder::name(33)) && ++asked == 4) {
            all.put_segment(WalBuilder::name(33), all.wal.segment(33));
            all.put_segment(WalBuilder::name(34), all.wal.segment(34));
        }
    };
    EXPECT_EQ(findings_of(all.verify()), "");
}

// A backup waits for whole segments; without them it needs at least all pieces up to its stop.
TEST_F(VerifyWalTest, PiecesOfTheBackupsOwn) {
    all.store();
    for (uint64_t n = 32; n <= 35; ++n)
        remove(n);
    put_piece(32, 0, 0xF8);  // it stopped at 0x100
    EXPECT_EQ(findings_of(all.verify()), finding(32));
    remove_piece(32, 0);
    put_piece(32, 0, 5000);
    EXPECT_EQ(findings_of(all.verify()), "");
}

TEST_F(VerifyWalTest, PiecesOfALaterTimelineWithoutItsHistory) {
    all.store();
    put_piece_of(36, all.wal.segment(35), 0, 100, 2);
    EXPECT_TRUE(
        mentions(findings_of(all.verify()), "wal_after_backup " + history_name_of(2) + "\n"));
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
