#include "core/archive/tail.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <thread>

#include <gtest/gtest.h>

#include "core/archive/fetch.hpp"
#include "core/base/file.hpp"
#include "test/support/command.hpp"
#include "test/support/temporary_directory.hpp"
#include "test/unit/archive/fixture.hpp"

namespace ark {
namespace {

using test::cut_at;
using test::error_of;
using test::ForkedWal;
using test::kCluster;
using test::TestRepository;
using test::WalBuilder;
constexpr uint64_t kSize = WalBuilder::kSegmentSize;

std::string name(uint64_t number, TimelineId timeline = 1) {
    return WalBuilder::name(number, timeline);
}

// Timeline 1 writes segments 5 to 7; timeline 2 leaves it in 6.
class Tail : public ::testing::Test {
 protected:
    FetchContext context(const TimelineHistory* target = nullptr) {
        return {*repo.repository, kCluster, WalBuilder::kSystemIdentifier, target,
                [this](const Error& error) { warnings.push_back(error); }};
    }
    std::optional<TailChain> chain(const std::string& segment) {
        return read_tail(context(), segment);
    }
    // Pieces of one segment that meet at these places.
    void put_pieces(const std::string& segment, const Bytes& bytes, std::vector<uint64_t> cuts) {
        for (size_t i = 1; i < cuts.size(); ++i)
            repo.put_piece(segment, bytes, cuts[i - 1], cuts[i]);
    }
    void remove(const std::string& place) { repo.base->remove(kCluster + "/" + place); }
    // Requests by get that `call` makes.
    template <typename Call>
    int gets(const Call& call) {
        const int before = repo.hooks->gets;
        call();
        return repo.hooks->gets - before;
    }

    TestRepository repo;
    ForkedWal wal;
    TimelineHistory target = TimelineHistory::parse(2, wal.history);
    Bytes five = wal.parent.segment(5);
    Bytes six = wal.parent.segment(6);
    uint64_t fork = wal.fork % kSize;
    std::vector<Error> warnings;
    int asked = 0;
    bool late = false;
};

// ---- the chain

TEST_F(Tail, PiecesFollowEachOtherUntilOneIsNotThere) {
    put_pieces(name(5), five, {0, 100, 8192, 300001, 500000});
    repo.put_piece(name(5), five, 600000, 700000);  // behind a gap
    const auto found = chain(name(5)).value();
    EXPECT_EQ(found.bytes, Bytes(five.begin(), five.begin() + 500000));
    EXPECT_EQ(found.segment_size, kSize);
    EXPECT_FALSE(found.complete);
    EXPECT_FALSE(found.damage);
}

TEST_F(Tail, IsCompleteAtTheSegmentsEnd) {
    put_pieces(name(5), five, {0, 500000, kSize});
    const auto found = chain(name(5)).value();
    EXPECT_TRUE(found.complete);
    EXPECT_EQ(found.bytes, five);
    EXPECT_EQ(gets([&] { chain(name(5)); }), 2);  // nobody can write behind the end
}

// A listing may show too little or too much; which pieces make the chain their ends say.
TEST_F(Tail, ManyPiecesAreGotAtOnce) {
    std::vector<uint64_t> cuts;
    for (uint64_t at = 0; at <= 800000; at += 8000)
        cuts.push_back(at);
    put_pieces(name(5), five, cuts);
    repo.put_piece(name(5), five, 100001, 100100);  // no part of it
    repo.put_piece(name(5), five, 900000, 900100);
    std::atomic<int> at_once = 0;
    std::atomic<int> most = 0;
    repo.hooks->before_get = [&](const std::string&) {
        most = std::max<int>(most, ++at_once);
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        --at_once;
    };
    EXPECT_EQ(chain(name(5))->bytes, Bytes(five.begin(), five.begin() + 800000));
    EXPECT_GT(most, 1);
    repo.hooks->lags = true;
    EXPECT_EQ(chain(name(5))->bytes.size(), 800000U);
}

TEST_F(Tail, PiecesThatGoWhileTheyAreReadEndTheChain) {
    std::vector<uint64_t> cuts;
    for (uint64_t at = 0; at <= 800000; at += 8000)
        cuts.push_back(at);
    put_pieces(name(5), five, cuts);
    std::atomic<int> calls = 0;
    repo.hooks->before_get = [&](const std::string&) {
        if (++calls != 20)
            return;
        repo.put_segment(name(5), five);
        remove_tail(*repo.base, kCluster, name(5));
    };
    EXPECT_EQ(fetch_segment(context(), name(5)), five);
}

TEST_F(Tail, AFailureAmongManyPiecesIsAFailure) {
    for (uint64_t at = 0; at < 80000; at += 8000)
        repo.put_piece(name(5), five, at, at + 8000);
    repo.hooks->before_get = [&](const std::string& object) {
        if (object.ends_with("/0000BB80.zst"))
            throw Error(ErrorCode::unavailable, "the store is away");
    };
    EXPECT_EQ(error_of([&] { chain(name(5)); }), ErrorCode::unavailable);
}

TEST_F(Tail, IsNotThereWithoutItsBeginning) {
    EXPECT_FALSE(chain(name(5)));
    repo.put_piece(name(5), five, 100, 200);
    EXPECT_FALSE(chain(name(5)));
    repo.hooks->broken = true;
    EXPECT_EQ(error_of([&] { chain(name(5)); }), ErrorCode::unavailable);
}

TEST_F(Tail, AFirstPageHeaderMayComeInParts) {
    put_pieces(name(5), five, {0, 7});
    EXPECT_EQ(chain(name(5))->segment_size, 0U);
    put_pieces(name(5), five, {7, 39});
    EXPECT_EQ(chain(name(5))->segment_size, 0U);
    EXPECT_FALSE(fetch_segment(context(), name(5)));
    put_pieces(name(5), five, {39, 40});
    EXPECT_EQ(chain(name(5))->segment_size, kSize);
}

TEST_F(Tail, NamesTheWriterOfTheLastPiece) {
    Writer writer;
    repo.put_piece(name(5), five, 0, 100);
    writer.host = "second";
    repo.put_object(ObjectKind::tail, place::tail(name(5), 100), ByteView(five).subspan(100, 9),
                    writer);
    EXPECT_EQ(chain(name(5))->writer.host, "second");
}

TEST_F(Tail, PiecesOfOtherWalAreDamage) {
    FetchContext other = context();
    other.system_identifier = 1;
    put_pieces(name(5), five, {0, 9000});
    EXPECT_EQ(error_of([&] { read_tail(other, name(5)); }), ErrorCode::corrupt);
    put_pieces(name(6), five, {0, 9000});
    EXPECT_EQ(error_of([&] { chain(name(6)); }), ErrorCode::corrupt);
    const Bytes child = wal.child.segment(7);
    put_pieces(name(7), child, {0, 9000});  // timeline 2's
    EXPECT_EQ(error_of([&] { chain(name(7)); }), ErrorCode::corrupt);
}

TEST_F(Tail, NoPieceReachesPastTheSegmentsEnd) {
    put_pieces(name(5), five, {0, kSize - 8});
    repo.put_object(ObjectKind::tail, place::tail(name(5), kSize - 8), Bytes(9));
    EXPECT_EQ(error_of([&] { chain(name(5)); }), ErrorCode::corrupt);
}

// ---- damage

TEST_F(Tail, EndsBeforeATornLastPiece) {
    put_pieces(name(5), five, {0, 20000});
    repo.damage(repo.put_piece(name(5), five, 20000, 50000));
    const auto found = chain(name(5)).value();
    EXPECT_EQ(found.bytes.size(), 20000U);
    ASSERT_TRUE(found.damage);
    EXPECT_EQ(fetch_segment(context(), name(5)), cut_at(five, 20000));
    ASSERT_EQ(warnings.size(), 1U);
    EXPECT_NE(warnings[0].message.find(name(5)), std::string::npos);
}

TEST_F(Tail, DamageBeforeALaterPieceIsAnError) {
    put_pieces(name(5), five, {0, 20000});
    repo.damage(repo.put_piece(name(5), five, 20000, 50000));
    repo.put_piece(name(5), five, 50000, 60000);
    EXPECT_EQ(error_of([&] { chain(name(5)); }), ErrorCode::corrupt);
    EXPECT_EQ(error_of([&] { fetch_segment(context(), name(5)); }), ErrorCode::corrupt);
}

// What a killed writer had on its way may come behind a piece that never came; more than that says
// that the piece was there and was lost.
TEST_F(Tail, APieceThatIsMissingBeforeManyIsAnError) {
    std::vector<uint64_t> cuts{0, 20000};
    for (uint64_t from = 30000; from <= 30000 + 7 * 500; from += 500)
        cuts.push_back(from);
    put_pieces(name(5), five, cuts);
    remove(place::tail(name(5), 20000));
    EXPECT_FALSE(chain(name(5))->is_torn_apart);  // seven
    EXPECT_EQ(fetch_segment(context(), name(5)), cut_at(five, 20000));
    repo.put_piece(name(5), five, 40000, 40500);  // does not follow them
    EXPECT_FALSE(chain(name(5))->is_torn_apart);
    repo.put_piece(name(5), five, 33500, 34000);
    EXPECT_TRUE(chain(name(5))->is_torn_apart);
    EXPECT_EQ(error_of([&] { fetch_segment(context(), name(5)); }), ErrorCode::corrupt);
    remove(place::tail(name(5), 0));
    EXPECT_EQ(error_of([&] { fetch_segment(context(), name(5)); }), ErrorCode::corrupt);
    repo.put_segment(name(5), five);
    EXPECT_EQ(fetch_segment(context(), name(5)), five);
}

// What was on its way with it says nothing; one that was begun when it was durable says all.
TEST_F(Tail, APieceThatWasDurableAndIsMissingIsAnError) {
    put_pieces(name(5), five, {0, 20000});
    repo.put_piece(name(5), five, 30000, 31000, 20000);  // begun while the one before was not there
    EXPECT_FALSE(chain(name(5))->is_torn_apart);
    EXPECT_EQ(fetch_segment(context(), name(5)), cut_at(five, 20000));
    const std::string proof = repo.put_piece(name(5), five, 40000, 41000, 20001);
    EXPECT_TRUE(chain(name(5))->is_torn_apart);
    EXPECT_EQ(error_of([&] { fetch_segment(context(), name(5)); }), ErrorCode::corrupt);
    repo.put_piece(name(5), five, 50000, 51000,
                   0);  // of another writer: the last need not know most
    EXPECT_TRUE(chain(name(5))->is_torn_apart);
    repo.damage(proof, 0.1);
    EXPECT_FALSE(chain(name(5))->is_torn_apart);
    repo.put_piece(name(5), five, 60000, 61000, 60000);
    EXPECT_TRUE(chain(name(5))->is_torn_apart);
    repo.put_piece(name(5), five, 20000, 60000);
    EXPECT_EQ(fetch_segment(context(), name(5)), cut_at(five, 61000));
}

TEST_F(Tail, AFirstPieceThatWasDurableAndIsMissingIsAnError) {
    repo.put_piece(name(5), five, 20000, 21000, 0);
    EXPECT_FALSE(fetch_segment(context(), name(5)));
    repo.put_piece(name(5), five, 21000, 22000, 20000);
    EXPECT_EQ(error_of([&] { fetch_segment(context(), name(5)); }), ErrorCode::corrupt);
}

// A running server's piece may come, and those behind it, after it was asked for.
TEST_F(Tail, PiecesThatComeWhileTheyAreListedAreNoError) {
    put_pieces(name(5), five, {0, 20000});
    repo.hooks->before_get = [&](const std::string& object) {
        if (!object.ends_with("/00004E20.zst") || ++asked > 1)
            return;
        std::vector<uint64_t> cuts;
        for (uint64_t from = 25000; from <= 25000 + 12 * 500; from += 500)
            cuts.push_back(from);
        put_pieces(name(5), five, cuts);
        late = true;
    };
    repo.hooks->before_list = [&] {
        if (late)
            repo.put_piece(name(5), five, 20000, 25000);
    };
    const auto found = chain(name(5)).value();
    EXPECT_FALSE(found.is_torn_apart);
    EXPECT_EQ(found.bytes.size(), 31000U);
}

// Its length can't be read any more: the listing shows what comes behind it.
TEST_F(Tail, DamageOfAHeaderBeforeALaterPieceIsAnError) {
    put_pieces(name(5), five, {0, 20000});
    repo.base->put_if_absent(kCluster + "/" + place::tail(name(5), 20000), as_bytes("torn"));
    EXPECT_EQ(chain(name(5))->bytes.size(), 20000U);
    repo.put_piece(name(5), five, 50000, 60000);
    EXPECT_EQ(error_of([&] { chain(name(5)); }), ErrorCode::corrupt);
}

// A listing that lags must not make an end of it.
TEST_F(Tail, ALaterPieceIsFoundWithoutAListing) {
    repo.hooks->lags = true;
    put_pieces(name(5), five, {0, 20000});
    repo.damage(repo.put_piece(name(5), five, 20000, 50000), 0.99);
    EXPECT_TRUE(chain(name(5))->damage);
    repo.put_piece(name(5), five, 50000, 60000);
    EXPECT_EQ(error_of([&] { chain(name(5)); }), ErrorCode::corrupt);
}

TEST_F(Tail, AFirstPieceThatIsTornIsNoWal) {
    repo.damage(repo.put_piece(name(5), five, 0, 50000));
    EXPECT_TRUE(chain(name(5))->bytes.empty());
    EXPECT_FALSE(fetch_segment(context(), name(5)));
    EXPECT_EQ(warnings.size(), 1U);
    repo.put_segment(name(6), six);
    EXPECT_EQ(error_of([&] { fetch_segment(context(), name(5)); }), ErrorCode::corrupt);
}

TEST_F(Tail, AnEmptyPieceIsDamage) {
    put_pieces(name(5), five, {0, 20000});
    repo.put_object(ObjectKind::tail, place::tail(name(5), 20000), Bytes());
    EXPECT_TRUE(chain(name(5))->damage);
}

// What a transfer damaged is whole the next time: recovery must not end because of it.
TEST_F(Tail, ReadsAgainBeforeItBelievesInDamage) {
    put_pieces(name(5), five, {0, 20000, 50000});
    int failures = 2;
    repo.hooks->before_get = [&](const std::string& object) {
        if (object.ends_with("/00004E20.zst") && failures-- > 0)
            throw Error(ErrorCode::corrupt, "damaged on its way");
    };
    const auto found = chain(name(5)).value();
    EXPECT_EQ(found.bytes.size(), 50000U);
    EXPECT_FALSE(found.damage);
}

TEST_F(Tail, PiecesOfALaterFormatAreNoEnd) {
    put_pieces(name(5), five, {0, 20000});
    const std::string where = place::tail(name(5), 20000);
    const ByteView bytes = ByteView(five).subspan(20000, 100);
    const ObjectHeader header{ObjectKind::tail, where, "aes", 100, content_hash(bytes), {}};
    repo.base->put_if_absent(kCluster + "/" + where, seal_object(header, bytes, 1));
    EXPECT_EQ(error_of([&] { chain(name(5)); }), ErrorCode::unsupported);
}

// ---- a segment of pieces

TEST_F(Tail, TheNewestSegmentIsFilledWithZeros) {
    put_pieces(name(5), five, {0, 20000, 70001});
    const auto found = fetch_segment_and_end(context(), name(5)).value();
    EXPECT_EQ(found.bytes, cut_at(five, 70001));
    EXPECT_EQ(found.end, 5 * kSize + 70001);
    EXPECT_TRUE(warnings.empty());
}

TEST_F(Tail, ACompleteChainIsAWholeSegment) {
    put_pieces(name(5), five, {0, 500000, kSize});
    repo.put_segment(name(6), six);
    const auto found = fetch_segment_and_end(context(), name(5)).value();
    EXPECT_EQ(found.bytes, five);
    EXPECT_FALSE(found.end);
}

TEST_F(Tail, TheWholeSegmentComesFirst) {
    repo.put_segment(name(5), five);
    repo.damage(repo.put_piece(name(5), five, 0, 20000));
    EXPECT_EQ(gets([&] { EXPECT_EQ(fetch_segment(context(), name(5)), five); }), 1);
}

// The writer finishes the segment between two requests: it is whole first, then its pieces go.
TEST_F(Tail, FindsASegmentThatIsFinishedWhileItIsRead) {
    for (const char* at : {"/00000000.zst", "/00004E20.zst", "/00011170.zst"}) {
        remove(place::segment(name(5)));
        put_pieces(name(5), five, {0, 20000, 70000});
        repo.hooks->before_get = [&](const std::string& object) {
            if (!object.ends_with(at))
                return;
            repo.put_segment(name(5), five);
            remove_tail(*repo.base, kCluster, name(5));
        };
        EXPECT_EQ(fetch_segment(context(), name(5)), five) << at;
        repo.hooks->before_get = [](const std::string&) {};
    }
}

TEST_F(Tail, AbsenceTakesThreeRequests) {
    EXPECT_EQ(gets([&] { EXPECT_FALSE(fetch_segment(context(), name(5))); }), 3);
}

// Recovery must not end where later WAL is there.
TEST_F(Tail, LaterWalMakesAHoleOfAnUnfinishedSegment) {
    put_pieces(name(5), five, {0, 20000});
    repo.put_segment(name(6), six);
    try {
        fetch_segment(context(), name(5));
        FAIL();
    } catch (const SegmentHole& hole) {
        EXPECT_EQ(hole.code, ErrorCode::corrupt);
        EXPECT_TRUE(hole.retryable);
    }
    remove(place::segment(name(6)));
    EXPECT_TRUE(fetch_segment(context(), name(5)));
    repo.put_piece(name(6), six, 0, 100);
    EXPECT_THROW(fetch_segment(context(), name(5)), SegmentHole);
    repo.put_segment(name(5), five);
    EXPECT_EQ(fetch_segment(context(), name(5)), five);
}

TEST_F(Tail, ATornPieceBeforeALaterSegmentIsAHole) {
    put_pieces(name(5), five, {0, 20000});
    repo.damage(repo.put_piece(name(5), five, 20000, 50000));
    repo.put_segment(name(6), six);
    EXPECT_THROW(fetch_segment(context(), name(5)), SegmentHole);
}

// In synchronous mode the next segment may begin right after the chain was read.
TEST_F(Tail, PiecesThatCameMeanwhileAreNoHole) {
    put_pieces(name(5), five, {0, 20000});
    repo.hooks->before_get = [&](const std::string& object) {
        if (!object.ends_with(name(5) + ".zst") ||
            repo.base->head(kCluster + "/" + place::tail(name(5), 20000)))
            return;
        if (++asked < 2)
            return;
        put_pieces(name(5), five, {20000, kSize});
        repo.put_piece(name(6), six, 0, 100);
    };
    EXPECT_EQ(fetch_segment(context(), name(5)), five);
}

// ---- forks

TEST_F(Tail, AbandonedPiecesAreCutAtTheFork) {
    put_pieces(name(6), six, {0, fork - 100, kSize - 5});
    const auto found = fetch_segment_and_end(context(&target), name(6)).value();
    EXPECT_EQ(found.bytes, wal.partial());
    EXPECT_EQ(found.end, wal.fork);
    EXPECT_EQ(fetch_segment(context(), name(6)), cut_at(six, kSize - 5));
    // What the old server wrote later is no hole on this way.
    repo.put_segment(name(7), wal.parent.segment(7));
    EXPECT_EQ(fetch_segment(context(&target), name(6)), wal.partial());
    put_pieces(name(7), wal.parent.segment(7), {0, 1000});
    remove(place::segment(name(7)));
    EXPECT_FALSE(fetch_segment(context(&target), name(7)));
}

TEST_F(Tail, PiecesUpToTheForkExactlyAreEnough) {
    put_pieces(name(6), six, {0, fork});
    EXPECT_EQ(fetch_segment(context(&target), name(6)), wal.partial());
}

TEST_F(Tail, APartialServesWherePiecesEndBeforeTheFork) {
    put_pieces(name(6), six, {0, fork - 5000});
    repo.put_partial(name(6), wal.partial());
    const auto found = fetch_segment_and_end(context(&target), name(6)).value();
    EXPECT_EQ(found.bytes, wal.partial());
    EXPECT_EQ(found.end, wal.fork);
}

// The new timeline has a history file and no WAL yet: what the old server was told to be durable
// counts all the same.
TEST_F(Tail, PiecesThatEndBeforeTheForkAreTheEndOfWal) {
    put_pieces(name(6), six, {0, fork - 5000});
    const auto found = fetch_segment_and_end(context(&target), name(6)).value();
    EXPECT_EQ(found.bytes, cut_at(six, fork - 5000));
    EXPECT_EQ(found.end, wal.fork - 5000);
    // A standby that follows has to come to the new timeline's segments.
    repo.put_segment(name(7, 2), wal.child.segment(7));
    EXPECT_EQ(fetch_segment(context(&target), name(6)), cut_at(six, fork - 5000));
}

// Else its ancestor's segment, which has more, would not be asked for.
TEST_F(Tail, PiecesThatEndBeforeTheirTimelineBeginsDoNotCount) {
    const Bytes child = wal.child.segment(6);
    put_pieces(name(6, 2), child, {0, fork});
    EXPECT_FALSE(fetch_segment(context(&target), name(6, 2)));
    repo.put_history(2, wal.history);
    EXPECT_FALSE(fetch_segment(context(), name(6, 2)));  // the way is not told: its file says it
    put_pieces(name(6, 2), child, {fork, fork + 8});
    EXPECT_EQ(fetch_segment(context(&target), name(6, 2)), cut_at(child, fork + 8));
    EXPECT_EQ(fetch_segment(context(), name(6, 2)), cut_at(child, fork + 8));
}

// The server that left the timeline in the next segment had all of this one.
TEST_F(Tail, LaterWalOfANewerTimelineMakesAHole) {
    put_pieces(name(5), five, {0, 20000});
    repo.put_piece(name(6, 2), wal.child.segment(6), 0, fork + 100);
    EXPECT_TRUE(fetch_segment(context(), name(5)));  // not on the way to it
    EXPECT_THROW(fetch_segment(context(&target), name(5)), SegmentHole);
}

TEST_F(Tail, AForkAtTheSegmentsEndNeedsAllOfIt) {
    const auto at_border = TimelineHistory::parse(2, "1 " + to_text(7 * kSize) + " x\n");
    put_pieces(name(6), six, {0, 50000});
    repo.put_segment(name(7), wal.parent.segment(7));  // abandoned: no hole
    EXPECT_EQ(fetch_segment(context(&at_border), name(6)), cut_at(six, 50000));
    put_pieces(name(6), six, {50000, kSize});
    EXPECT_EQ(fetch_segment(context(&at_border), name(6)), six);
}

// ---- by hand

// The recipe of docs/repository-format.md "Tail".
TEST_F(Tail, StandardToolsReadPieces) {
    if (std::system("command -v zstd >/dev/null") != 0)
        GTEST_SKIP() << "zstd is not installed";
    const test::TemporaryDirectory directory;
    const std::vector<uint64_t> cuts{0, 100, 20000, 70001};
    put_pieces(name(5), five, cuts);
    for (const uint64_t from : {0, 100, 20000}) {
        const std::string place = place::tail(name(5), static_cast<uint32_t>(from));
        const Bytes stored = repo.base->get(kCluster + "/" + place, 1 << 30).value();
        std::ofstream(directory / place.substr(place.rfind('/') + 1))
            << std::string(as_text(stored));
    }
    test::output_of(
        "cd '" + directory / "" + "' && : > S && " +
        "while zstd -dqc \"$(printf %08X \"$(stat -c %s S)\").zst\" >> S 2>/dev/null; " +
        "do :; done; truncate -s 1M S");
    EXPECT_EQ(read_file(directory / "S", 1 << 30), cut_at(five, 70001));
}

// ---- removal

TEST_F(Tail, RemovesThePiecesOfOneSegment) {
    put_pieces(name(5), five, {0, 100, 200, 300});
    repo.put_piece(name(6), six, 0, 100);
    EXPECT_EQ(remove_tail(*repo.base, kCluster, name(5)), 3U);
    EXPECT_FALSE(chain(name(5)));
    EXPECT_TRUE(chain(name(6)));
    EXPECT_EQ(remove_tail(*repo.base, kCluster, name(5)), 0U);
    repo.hooks->broken = true;
    EXPECT_EQ(remove_tail(repo.store(), kCluster, name(6)), 0U);
}

}  // namespace
}  // namespace ark
