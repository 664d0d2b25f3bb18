#include "core/stream/archived.hpp"

#include <atomic>
#include <filesystem>

#include "core/repo/vault.hpp"
#include "core/stream/adoption.hpp"
#include "core/stream/contiguity.hpp"
#include "core/stream/histories.hpp"
#include "core/stream/tail_cleaner.hpp"
#include "test/support/sample_marker.hpp"
#include "test/support/store_decorator.hpp"
#include "test/unit/archive/data_directory.hpp"
#include "test/unit/stream/fixture.hpp"

namespace ark {
namespace {

using test::kCluster;
using test::WalBuilder;

class ArchivedTest : public test::StreamFixture {
 protected:
    std::string name(uint64_t number) { return WalBuilder::name(number); }
    void finish(uint64_t number) { data.add_wal(name(number), wal.segment(number)); }
    void mark_done(uint64_t number) { data.mark_done(name(number)); }
    void put_backup(Lsn start, TimelineId timeline = 1) {
        BackupMarker marker = test::sample_marker();
        marker.backup_id = "manual_2026112" + std::to_string(start % 10) + "_021500_9f3a01bc";
        marker.cluster = kCluster;
        marker.timeline = timeline;
        marker.start_lsn = start;
        marker.stop_lsn = start + 1;
        base->put_if_absent(kCluster + "/" + place::marker(marker.backup_id),
                            as_bytes(to_json(marker)));
    }
    std::string gap(Lsn before) {
        const auto found = contiguity.find_gap(TimelineHistory(1), before);
        return found ? found->segment : "";
    }

    test::DataDirectory data;
    Archived archived{*repository, target(), data.path(), 1};
    Contiguity contiguity{*repository, target(), archived};
};

TEST_F(ArchivedTest, CountsWhatWaitsBeforeThePresent) {
    EXPECT_EQ(archived.waiting(7 * kSize).count, 0);
    EXPECT_EQ(archived.waiting(7 * kSize).first, 7);
    finish(5);
    finish(6);
    EXPECT_EQ(archived.waiting(7 * kSize + 5).count, 2);
    EXPECT_EQ(archived.waiting(7 * kSize + 5).first, 5);
    // The server has not finished 6 where it is inside of it, whatever the mark says.
    EXPECT_EQ(archived.waiting(7 * kSize - 5).count, 1);
    mark_done(5);
    EXPECT_EQ(archived.waiting(7 * kSize).first, 6);
    test::write_text(data.ready(name(5) + ".00000028.backup"), "");
    test::write_text(data.ready("00000002.history"), "");
    test::write_text(data.ready(name(6) + ".partial"), "");
    EXPECT_EQ(archived.waiting(7 * kSize).count, 1);
}

TEST_F(ArchivedTest, ASegmentIsDurableWhenTheArchiverAndTheStoreSaySo) {
    finish(5);
    EXPECT_FALSE(archived.is_durable(5));
    put_whole(5);  // somebody's: the archiver has not compared it yet
    EXPECT_FALSE(archived.is_durable(5));
    mark_done(5);
    EXPECT_TRUE(archived.is_durable(5));
    // The server has removed both.
    std::filesystem::remove(data.wal(name(5)));
    std::filesystem::remove(data.path() + "/pg_wal/archive_status/" + name(5) + ".done");
    EXPECT_TRUE(archived.is_durable(5));
}

TEST_F(ArchivedTest, WhatWasArchivedElsewhereIsStoredHereOrMissed) {
    finish(5);
    mark_done(5);
    EXPECT_TRUE(archived.is_durable(5));
    EXPECT_TRUE(archived.is_stored(name(5)));
    EXPECT_EQ(test::error_of([&] { archived.is_durable(6); }), ErrorCode::unavailable);
}

TEST_F(ArchivedTest, WithoutABackupThereIsNoGap) {
    EXPECT_EQ(gap(7 * kSize), "");
}

TEST_F(ArchivedTest, FindsTheFirstSegmentThatIsMissing) {
    put_backup(5 * kSize + 40);
    EXPECT_EQ(gap(5 * kSize + 100), "");
    EXPECT_EQ(gap(7 * kSize + 100), name(5));
    put_whole(5);
    EXPECT_EQ(gap(7 * kSize + 100), name(6));
    put_whole(6);
    EXPECT_EQ(gap(7 * kSize + 100), "");
    EXPECT_EQ(gap(8 * kSize), name(7));
    // A newer backup needs nothing of what is missing.
    put_backup(8 * kSize + 41);
    EXPECT_EQ(gap(8 * kSize + 100), "");
}

TEST_F(ArchivedTest, ABackupOfAnotherTimelineSaysNothing) {
    put_backup(5 * kSize + 40, 2);
    EXPECT_EQ(gap(7 * kSize + 100), "");
}

TEST_F(ArchivedTest, AHoleIsFilledFromPgWal) {
    put_backup(5 * kSize + 40);
    put_whole(6);
    finish(5);
    mark_done(5);
    EXPECT_EQ(gap(7 * kSize + 100), "");
    EXPECT_TRUE(archived.is_stored(name(5)));
    // What is not complete fills none.
    data.add_wal(name(7), wal.segment(7));
    EXPECT_EQ(gap(8 * kSize), name(7));
}

TEST_F(ArchivedTest, AWholeChainIsAsGoodAsTheSegment) {
    put_backup(5 * kSize + 40);
    put_piece(5, 0, slice(kBegin, kBegin + 1000));
    EXPECT_EQ(gap(6 * kSize), name(5));
    put_piece(5, 1000, slice(kBegin + 1000, kBegin + kSize));
    EXPECT_EQ(gap(6 * kSize), "");
}

class AdoptionTest : public ArchivedTest {
 protected:
    std::optional<TailChain> adopt(Lsn flushed) {
        return adopt_tail(*repository, target("two"), {1, 5}, flushed,
                          [this](const Error& warning) { warnings.push_back(warning); });
    }
    std::vector<Error> warnings;
};

TEST_F(AdoptionTest, TakesWhatIsThere) {
    EXPECT_FALSE(adopt(kBegin + 2000));
    put_piece(5, 0, slice(kBegin, kBegin + 1000));
    EXPECT_EQ(adopt(kBegin + 2000)->bytes.size(), 1000);
    EXPECT_EQ(adopt(kBegin + 1000)->bytes.size(), 1000);
    EXPECT_TRUE(warnings.empty());
}

// A snapshot was brought back, or the server is a copy.
TEST_F(AdoptionTest, PiecesAheadOfTheServerAreAConflict) {
    put_piece(5, 0, slice(kBegin, kBegin + 1000), "one");
    try {
        adopt(kBegin + 999);
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code, ErrorCode::conflict);
        EXPECT_FALSE(error.retryable);
        EXPECT_NE(error.detail.find("host one"), std::string::npos) << error.detail;
        EXPECT_NE(error.detail.find("host two"), std::string::npos) << error.detail;
    }
}

TEST_F(AdoptionTest, AWholeOfWhatIsNotFinishedIsAConflict) {
    put_whole(5);
    try {
        refuse_whole(*repository, target("two"), name(5), kBegin + 5);
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code, ErrorCode::conflict);
        EXPECT_NE(error.detail.find("host archiver"), std::string::npos) << error.detail;
    }
}

TEST_F(AdoptionTest, ATornLastPieceMakesRoom) {
    put_piece(5, 0, slice(kBegin, kBegin + 1000));
    put_piece(5, 1000, slice(kBegin + 1000, kBegin + 2000));
    const Bytes stored = base->get(piece(5, 1000), 1 << 20).value();
    base->remove(piece(5, 1000));
    base->put_if_absent(piece(5, 1000), ByteView(stored).first(stored.size() / 2));
    EXPECT_EQ(adopt(kBegin + 2000)->bytes.size(), 1000);
    EXPECT_EQ(warnings.size(), 1);
    EXPECT_FALSE(base->head(piece(5, 1000)));
}

// A writer has stored four pieces, one after the other.
class MendingTest : public AdoptionTest {
 protected:
    MendingTest() {
        for (Lsn end = kBegin + 1000; end <= kBegin + 4000; end += 1000)
            write(end, adopt(end));
    }
    void write(Lsn end, const std::optional<TailChain>& chain) {
        TailWriter writer(target(), 1, 0, [this] { bell.ring(); });
        writer.begin(kBegin, chain);
        writer.append(slice(kBegin, end));
        writer.cut(CutRule::everything);
        EXPECT_TRUE(bell.wait([&] {
            writer.collect();
            return writer.durable() == end;
        }));
    }
    // What it has, with another one in its place.
    void tear(uint32_t from) {
        const Bytes stored = base->get(piece(5, from), 1 << 20).value();
        base->remove(piece(5, from));
        base->put_if_absent(piece(5, from), ByteView(stored).first(stored.size() / 2));
    }
    void expect_mended(const std::optional<TailChain>& adopted) {
        EXPECT_EQ(adopted->bytes.size(), 2000);
        ASSERT_EQ(warnings.size(), 1);
        EXPECT_NE(
            (warnings[0].message + warnings[0].detail).find(place::tail(WalBuilder::name(5), 2000)),
            std::string::npos);
        // Until it is there recovery does not end before it.
        EXPECT_TRUE(read_tail(context(), name(5))->is_torn_apart);
        write(kBegin + 5000, adopted);
        EXPECT_EQ(adopt(kBegin + 5000)->bytes.size(), 5000);
        EXPECT_EQ(warnings.size(), 1);
    }
};

TEST_F(MendingTest, APieceThatWasLostIsWrittenAnew) {
    base->remove(piece(5, 2000));
    expect_mended(adopt(kBegin + 4000));
}

TEST_F(MendingTest, ADamagedPieceBeforeOthersIsWrittenAnew) {
    tear(2000);
    EXPECT_EQ(test::error_of([&] { read_tail(context(), name(5)); }), ErrorCode::corrupt);
    expect_mended(adopt(kBegin + 4000));
}

// Removed it would look like one that never came.
TEST_F(MendingTest, ADamagedPieceStaysWhereNothingElseSaysThatItWasThere) {
    tear(2000);
    base->remove(piece(5, 3000));
    put_piece(5, 3000, slice(kBegin + 3000, kBegin + 4000));
    EXPECT_EQ(test::error_of([&] { adopt(kBegin + 4000); }), ErrorCode::corrupt);
    EXPECT_TRUE(base->head(piece(5, 2000)));
}

// A server that was set back does not mend another one's pieces.
TEST_F(MendingTest, WhatWasDurableBehindTheServersEndIsAConflict) {
    tear(2000);
    EXPECT_EQ(test::error_of([&] { adopt(kBegin + 2999); }), ErrorCode::conflict);
    EXPECT_TRUE(base->head(piece(5, 2000)));
    base->remove(piece(5, 2000));
    EXPECT_EQ(test::error_of([&] { adopt(kBegin + 2999); }), ErrorCode::conflict);
}

// A host that has recipients alone, and pieces that it wrote before it started again.
class WriteOnlyTest : public AdoptionTest {
 protected:
    WriteOnlyTest() {
        repository->use_vault(
            kCluster, std::make_shared<const Vault>(std::vector<Recipient>{keyring->recipient()}));
    }
    void put_sealed(uint64_t number, Lsn from, Lsn to) {
        put_sealed(number, from, slice(from, to));
    }
    void put_sealed(uint64_t number, Lsn from, ByteView content) {
        store_object(
            repository->store(), kCluster, ObjectKind::tail,
            place::tail(name(number), static_cast<uint32_t>(from % kSize)), content,
            {"one", "boot", "/d", 0}, sealer, false, [] {}, from % kSize);
    }
    // What is durable after the server has sent so much again.
    Lsn send_again(const std::optional<TailChain>& chain, Lsn end) {
        TailWriter writer(target("two"), 1, 0, [] {});
        writer.begin(kBegin, chain);
        for (Lsn at = kBegin; at < end; at += 700)
            writer.append(slice(at, std::min(end, at + 700)));
        return writer.durable();
    }

    const std::shared_ptr<const OpenKeyring> keyring = std::make_shared<const OpenKeyring>(
        OpenKeyring::make(kCluster, {KeySecret::Type::key, random_secret(32)}));
    ObjectSealer sealer{1};
};

TEST_F(WriteOnlyTest, GoesOnBehindItsOwnPieces) {
    put_sealed(5, kBegin, kBegin + 1000);
    put_sealed(5, kBegin + 1000, kBegin + 5000);
    const auto chain = adopt(kBegin + 9000);
    ASSERT_TRUE(chain);
    EXPECT_EQ(chain->length, 5000);
    EXPECT_TRUE(chain->bytes.empty());
    EXPECT_FALSE(chain->complete);
    EXPECT_TRUE(warnings.empty());
    EXPECT_EQ(send_again(chain, kBegin + 4900), kBegin + 1000);  // the second has not come whole
    EXPECT_EQ(send_again(chain, kBegin + 5000), kBegin + 5000);
    EXPECT_EQ(test::error_of([&] { adopt(kBegin + 4999); }), ErrorCode::conflict);
    // A reader needs what is in them.
    EXPECT_EQ(test::error_of([&] { read_tail(context(), name(5)); }), ErrorCode::invalid_key);
}

TEST_F(WriteOnlyTest, OtherWalInAPieceIsAConflict) {
    const ByteView ours = slice(kBegin + 1000, kBegin + 5000);
    Bytes other(ours.begin(), ours.end());
    other[3999] ^= std::byte{1};
    put_sealed(5, kBegin, kBegin + 1000);
    put_sealed(5, kBegin + 1000, other);
    const auto chain = adopt(kBegin + 5000);
    EXPECT_EQ(test::error_of([&] { send_again(chain, kBegin + 5000); }), ErrorCode::conflict);
}

// While commits wait, those of the next segment may be there.
TEST_F(WriteOnlyTest, PiecesOfSeveralSegmentsAreOneChain) {
    put_sealed(5, kBegin, kBegin + kSize);
    put_sealed(6, kBegin + kSize, kBegin + kSize + 3000);
    const auto chain = adopt(kBegin + kSize + 3000);
    EXPECT_EQ(chain->length, kSize + 3000);
    EXPECT_EQ(send_again(chain, kBegin + kSize + 2000), kBegin + kSize);
    EXPECT_EQ(send_again(chain, kBegin + kSize + 3000), kBegin + kSize + 3000);
}

TEST_F(WriteOnlyTest, PiecesFromBeforeEncryptionCountToo) {
    put_piece(5, 0, slice(kBegin, kBegin + 1000));
    put_sealed(5, kBegin + 1000, kBegin + 5000);
    const auto chain = adopt(kBegin + 5000);
    EXPECT_EQ(chain->length, 5000);
    EXPECT_EQ(send_again(chain, kBegin + 5000), kBegin + 5000);
}

TEST_F(WriteOnlyTest, ATornPieceIsSeenWithoutReadingIt) {
    put_sealed(5, kBegin, kBegin + 1000);
    put_sealed(5, kBegin + 1000, kBegin + 5000);
    const Bytes stored = base->get(piece(5, 1000), 1 << 20).value();
    base->remove(piece(5, 1000));
    base->put_if_absent(piece(5, 1000), ByteView(stored).first(stored.size() - 30));
    EXPECT_EQ(adopt(kBegin + 5000)->length, 1000);
    EXPECT_EQ(warnings.size(), 1);
    EXPECT_FALSE(base->head(piece(5, 1000)));
}

TEST_F(WriteOnlyTest, ALostPieceIsWrittenAnew) {
    put_sealed(5, kBegin, kBegin + 1000);
    put_sealed(5, kBegin + 1000, kBegin + 2000);
    put_sealed(5, kBegin + 2000, kBegin + 3000);
    base->remove(piece(5, 1000));
    const auto chain = adopt(kBegin + 3000);
    EXPECT_EQ(chain->length, 1000);
    EXPECT_TRUE(chain->is_torn_apart);
    EXPECT_EQ(warnings.size(), 1);
}

// Of the backups it knows what their markers say in the clear.
TEST_F(WriteOnlyTest, LooksForHolesBehindTheNewestBackup) {
    BackupMarker marker = test::sample_marker();
    marker.cluster = kCluster;
    const std::string place = place::marker(marker.backup_id);
    store_small(repository->store(), kCluster, ObjectKind::marker, place, as_bytes(to_json(marker)),
                {"one", "boot", "/d", 7}, BackupRange{1, 5 * kSize + 40, 5 * kSize + 50});
    const auto backup = outline_backup(*repository, kCluster, marker.backup_id);
    EXPECT_FALSE(backup->marker);
    EXPECT_EQ(backup->range, (BackupRange{1, 5 * kSize + 40, 5 * kSize + 50}));
    EXPECT_EQ(backup->completed_at, 7);
    EXPECT_FALSE(outline_backup(*repository, kCluster, "manual_20261120_021501_9f3a01bc"));
    EXPECT_EQ(gap(6 * kSize), name(5));
    put_sealed(5, kBegin, kBegin + 1000);
    EXPECT_EQ(gap(6 * kSize), name(5));
    put_sealed(5, kBegin + 1000, kBegin + kSize);
    EXPECT_EQ(gap(6 * kSize), "");
    // Who reads gets the marker itself.
    repository->use_vault(kCluster, std::make_shared<const Vault>(keyring));
    EXPECT_TRUE(outline_backup(*repository, kCluster, marker.backup_id)->marker);
}

// An ancestor's history that only the repository has is nothing to read.
TEST_F(WriteOnlyTest, StoresTheHistoriesThatTheServerHas) {
    const std::string third = "1\t0/5000000\tno\n2\t0/6000000\tno\n";
    store_small(repository->store(), kCluster, ObjectKind::history, place::history(2),
                as_bytes(std::string_view("1\t0/5000000\tno\n")), {});
    const auto find = [&](TimelineId timeline) {
        return timeline == 3 ? std::optional(Bytes(as_bytes(third).begin(), as_bytes(third).end()))
                             : std::nullopt;
    };
    for (int i = 0; i < 2; ++i)
        EXPECT_EQ(store_histories(target(), 3, find).forks().size(), 2);
    EXPECT_EQ(test::error_of([&] { store_histories(target(), 2, find); }), ErrorCode::invalid_key);
}

TEST_F(AdoptionTest, OldPiecesGoWhereTheWholeIsThere) {
    put_piece(4, 0, slice(kBegin, kBegin + 10));
    put_piece(5, 0, slice(kBegin, kBegin + 10));
    put_piece(6, 0, slice(kBegin + kSize, kBegin + kSize + 10));
    put_piece(7, 0, slice(kBegin + kSize, kBegin + kSize + 10));
    put_whole(5);
    put_whole(7);
    remove_old_tails(*repository, target(), {1, 7});
    EXPECT_TRUE(base->head(piece(4, 0)));
    EXPECT_FALSE(base->head(piece(5, 0)));
    EXPECT_TRUE(base->head(piece(6, 0)));
    EXPECT_TRUE(base->head(piece(7, 0)));
}

// A server that may not remove anything says so once, and the store is not asked again.
TEST_F(AdoptionTest, WhereNothingMayBeRemovedOldPiecesStay) {
    for (const uint64_t number : {5, 6}) {
        put_piece(number, 0, slice(kBegin, kBegin + 10));
        put_whole(number);
    }
    int asked = 0;
    test::StoreDecorator store(base, [&](const std::string& call, const std::string&) {
        ++asked;
        if (call == "remove")
            throw Error(ErrorCode::permission_denied, "DELETE failed");
    });
    PushTarget refusing{store, kCluster, 42, kSize, 3, {}, nullptr};
    std::vector<Error> warnings;
    TailCleaner cleaner(*repository, [&](const Error& warning) { warnings.push_back(warning); });
    cleaner.remove(refusing, name(5));
    ASSERT_EQ(warnings.size(), 1U);
    EXPECT_NE(warnings[0].detail.find("DELETE failed"), std::string::npos);
    EXPECT_NE(warnings[0].hint.find("/tail/"), std::string::npos);
    asked = 0;
    cleaner.remove(refusing, name(6));
    cleaner.remove_old(refusing, {1, 7});
    EXPECT_EQ(asked, 0);
    EXPECT_EQ(warnings.size(), 1U);
    EXPECT_TRUE(base->head(piece(5, 0)));
    // Another trouble passes.
    TailCleaner other(*repository, [&](const Error& warning) { warnings.push_back(warning); });
    test::StoreDecorator away(base, [](const std::string& call, const std::string&) {
        if (call == "remove")
            throw Error(ErrorCode::unavailable, "away");
    });
    PushTarget there{away, kCluster, 42, kSize, 3, {}, nullptr};
    other.remove(there, name(5));
    EXPECT_EQ(warnings.size(), 1U);
    other.remove(target(), name(5));
    EXPECT_FALSE(base->head(piece(5, 0)));
}

// The archiver's side of the same: the first segment is compared.
TEST_F(ArchivedTest, TheFirstSegmentPushedIsComparedWithItsPieces) {
    Bytes other(slice(kBegin, kBegin + 1000).begin(), slice(kBegin, kBegin + 1000).end());
    other[999] ^= std::byte{1};
    put_piece(5, 0, other, "first");
    PushTarget push = target("second");
    push.repository = repository.get();
    PushBuffers buffers(1);
    const auto push_segment = [&](uint64_t number) {
        buffers.content = wal.segment(number);
        return push_content(push, name(number), buffers);
    };
    for (int i = 0; i < 2; ++i) {
        try {
            push_segment(5);
            FAIL();
        } catch (const Error& error) {
            EXPECT_EQ(error.code, ErrorCode::conflict);
            EXPECT_NE(error.detail.find("host first"), std::string::npos) << error.detail;
            EXPECT_NE(error.detail.find("host second"), std::string::npos) << error.detail;
        }
        EXPECT_FALSE(archived.is_stored(name(5)));
    }
    remove_tail(*base, kCluster, name(5));
    put_piece(5, 0, slice(kBegin, kBegin + 1000), "first");
    EXPECT_EQ(push_segment(5), PushResult::stored);
    EXPECT_FALSE(buffers.check_tail);
    // And no request is made for the ones that follow.
    at_each_call([&](const std::string& call, const std::string& which) {
        EXPECT_TRUE(which.find("/tail/") == std::string::npos) << call;
    });
    EXPECT_EQ(push_segment(6), PushResult::stored);
}

// The archiver's deadline passes while tens of thousands of pieces are read, at each try anew.
TEST_F(ArchivedTest, OfManyPiecesTheLastAreComparedWithTheSegment) {
    constexpr uint32_t kPiece = 64;
    constexpr uint32_t kPieces = 300;
    for (uint32_t i = 0; i < kPieces; ++i)
        put_piece(5, i * kPiece, slice(kBegin + i * kPiece, kBegin + (i + 1) * kPiece), "first");
    PushTarget push = target("second");
    push.repository = repository.get();
    std::atomic<int> gets = 0;
    at_each_call([&](const std::string& call, const std::string& which) {
        if (which.find("/tail/") != std::string::npos && call != "list")
            ++gets;
    });
    Bytes other = wal.segment(5);
    const Bytes ours = other;
    other[kPieces * kPiece - 1] ^= std::byte{1};
    const auto check = [&](const Bytes& segment) {
        PushBuffers buffers(1);
        buffers.content = segment;
        push_content(push, name(5), buffers);
    };
    EXPECT_EQ(test::error_of([&] { check(other); }), ErrorCode::conflict);
    check(ours);
    EXPECT_TRUE(archived.is_stored(name(5)));
    EXPECT_LT(gets, 100);
}

}  // namespace
}  // namespace ark
