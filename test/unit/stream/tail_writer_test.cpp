#include "core/stream/tail_writer.hpp"

#include <atomic>
#include <random>

#include "core/stream/adoption.hpp"
#include "test/unit/stream/fixture.hpp"

namespace ark {
namespace {

using test::kCluster;
using test::WalBuilder;

class TailWriterTest : public test::StreamFixture {
 protected:
    std::unique_ptr<TailWriter> make(TimelineId timeline = 1, Lsn timeline_begin = 0) {
        return std::make_unique<TailWriter>(target(), timeline, timeline_begin,
                                            [this] { bell.ring(); });
    }
    std::unique_ptr<TailWriter> make_at(Lsn begin, const std::optional<TailChain>& chain = {}) {
        auto writer = make();
        writer->begin(begin, chain);
        return writer;
    }
    void append(TailWriter& writer, Lsn to) { writer.append(slice(writer.received(), to)); }
    bool append_and_cut(TailWriter& writer, Lsn to, CutRule rule = CutRule::everything) {
        append(writer, to);
        return writer.cut(rule);
    }
    bool wait_durable(TailWriter& writer, Lsn lsn) {
        return bell.wait([&] {
            writer.collect();
            return writer.durable() >= lsn;
        });
    }
    std::optional<ErrorCode> failure(TailWriter& writer) {
        return test::error_of([&] { wait_durable(writer, kMaxLsn); });
    }
};

TEST_F(TailWriterTest, PiecesFollowEachOther) {
    auto writer = make_at(kBegin);
    EXPECT_FALSE(writer->cut(CutRule::everything));
    for (const Lsn end : {kBegin + 100, kBegin + 101, kBegin + 300000}) {
        EXPECT_TRUE(append_and_cut(*writer, end));
        EXPECT_EQ(writer->cut_to(), end);
        ASSERT_TRUE(wait_durable(*writer, end));
        EXPECT_EQ(writer->durable(), end);
    }
    EXPECT_EQ(writer->pieces(), 3);
    EXPECT_TRUE(std::ranges::equal(chain(5), slice(kBegin, kBegin + 300000)));
    EXPECT_FALSE(writer->cut(CutRule::everything));
}

// Contiguity: a later piece that is stored says nothing while an earlier one is not.
TEST_F(TailWriterTest, DurableIsTheContiguousEnd) {
    gate.hold(piece(5, 0));
    auto writer = make_at(kBegin);
    append_and_cut(*writer, kBegin + 1000);
    append_and_cut(*writer, kBegin + 2000);
    append_and_cut(*writer, kBegin + 3000);
    ASSERT_TRUE(bell.wait([&] { return puts_so_far() >= 3; }));  // the mark and two pieces
    writer->collect();
    EXPECT_EQ(writer->durable(), kBegin);
    EXPECT_TRUE(writer->is_on_its_way_before(kBegin + 1000));
    gate.let_go(piece(5, 0));
    ASSERT_TRUE(wait_durable(*writer, kBegin + 3000));
    EXPECT_FALSE(writer->is_on_its_way_before(kMaxLsn));
}

TEST_F(TailWriterTest, FourAreOnTheirWayAndTheRestIsOnePiece) {
    gate.hold(piece(5, 0));
    auto writer = make_at(kBegin);
    Lsn end = kBegin;
    for (int i = 0; i < 4; ++i)
        EXPECT_TRUE(append_and_cut(*writer, end += 1000));
    EXPECT_FALSE(append_and_cut(*writer, end += 1000));
    EXPECT_FALSE(append_and_cut(*writer, end += 1000));
    EXPECT_EQ(writer->uncut(), 2000);
    gate.let_go(piece(5, 0));
    ASSERT_TRUE(wait_durable(*writer, end - 2000));
    EXPECT_TRUE(writer->cut(CutRule::everything));
    ASSERT_TRUE(wait_durable(*writer, end));
    EXPECT_EQ(writer->pieces(), 5);
}

// By it a reader tells a piece that was lost from one that never came.
TEST_F(TailWriterTest, PiecesSayWhatWasDurableWhenTheyWereCut) {
    const auto said = [&](uint64_t number, uint32_t from) {
        return read_header(*base, piece(number, from))->durable_bytes;
    };
    auto writer = make_at(kBegin);
    append_and_cut(*writer, kBegin + 1000);
    ASSERT_TRUE(wait_durable(*writer, kBegin + 1000));
    gate.hold(piece(5, 1000));
    append_and_cut(*writer, kBegin + 2000);
    append_and_cut(*writer, kBegin + 3000);
    gate.let_go(piece(5, 1000));
    ASSERT_TRUE(wait_durable(*writer, kBegin + 3000));
    append_and_cut(*writer, kBegin + kSize);
    ASSERT_TRUE(wait_durable(*writer, kBegin + kSize));
    append_and_cut(*writer, kBegin + kSize + 10);
    ASSERT_TRUE(wait_durable(*writer, kBegin + kSize + 10));
    EXPECT_EQ(said(5, 0), 0U);
    EXPECT_EQ(said(5, 1000), 1000U);
    EXPECT_EQ(said(5, 2000), 1000U);
    EXPECT_EQ(said(5, 3000), 3000U);
    EXPECT_EQ(said(6, 0), 0U);
}

TEST_F(TailWriterTest, TheNextSegmentWaitsForTheWholeChainOfTheOneBefore) {
    gate.hold(piece(5, 1000));
    auto writer = make_at(kBegin);
    append_and_cut(*writer, kBegin + 1000);
    append(*writer, kBegin + kSize + 500);
    EXPECT_TRUE(writer->cut(CutRule::everything));
    EXPECT_EQ(writer->cut_to(), kBegin + kSize);
    ASSERT_TRUE(wait_durable(*writer, kBegin + 1000));
    EXPECT_FALSE(writer->cut(CutRule::everything));
    gate.let_go(piece(5, 1000));
    ASSERT_TRUE(wait_durable(*writer, kBegin + kSize));
    EXPECT_TRUE(writer->cut(CutRule::everything));
    ASSERT_TRUE(wait_durable(*writer, kBegin + kSize + 500));
    EXPECT_EQ(chain(5), wal.segment(5));
    EXPECT_TRUE(std::ranges::equal(chain(6), slice(kBegin + kSize, kBegin + kSize + 500)));
}

TEST_F(TailWriterTest, AFinishedSegmentIsLeftToTheArchiver) {
    auto writer = make_at(kBegin);
    append_and_cut(*writer, kBegin + 1000, CutRule::unfinished);
    ASSERT_TRUE(wait_durable(*writer, kBegin + 1000));
    append(*writer, kBegin + kSize + 500);
    EXPECT_FALSE(writer->cut(CutRule::unfinished));
    EXPECT_EQ(writer->durable(), kBegin + 1000);
    EXPECT_TRUE(writer->has_pieces(5));
    writer->whole_is_durable(5);
    EXPECT_FALSE(writer->has_pieces(5));
    EXPECT_EQ(writer->durable(), kBegin + kSize);
    EXPECT_EQ(writer->uncut(), 500);
    EXPECT_TRUE(writer->cut(CutRule::unfinished));
    ASSERT_TRUE(wait_durable(*writer, kBegin + kSize + 500));
    EXPECT_TRUE(std::ranges::equal(chain(6), slice(kBegin + kSize, kBegin + kSize + 500)));
    EXPECT_EQ(chain(5).size(), 1000);
}

// The archiver was faster than a piece: what becomes of the piece does not matter.
TEST_F(TailWriterTest, AWholeMakesUpForItsPieces) {
    gate.hold(piece(5, 0));
    at_each_call([&](const std::string& call, const std::string& name) {
        if (call == "put" && name == piece(5, 0))
            throw Error(ErrorCode::unavailable, "away");
    });
    auto writer = make_at(kBegin);
    append_and_cut(*writer, kBegin + 1000);
    append(*writer, kBegin + kSize + 10);
    writer->whole_is_durable(5);
    EXPECT_TRUE(writer->is_on_its_way_before(kBegin + kSize));
    EXPECT_TRUE(writer->cut(CutRule::unfinished));
    gate.let_go(piece(5, 0));
    ASSERT_TRUE(wait_durable(*writer, kBegin + kSize + 10));
}

TEST_F(TailWriterTest, AChainIsGoneOnWithAsFarAsItWasCompared) {
    put_piece(5, 0, slice(kBegin, kBegin + 700));
    put_piece(5, 700, slice(kBegin + 700, kBegin + 1000));
    auto writer = make_at(kBegin, read_tail(context(), WalBuilder::name(5)));
    EXPECT_EQ(writer->durable(), kBegin);
    EXPECT_FALSE(append_and_cut(*writer, kBegin + 600));
    EXPECT_EQ(writer->durable(), kBegin + 600);
    EXPECT_FALSE(append_and_cut(*writer, kBegin + 1000));
    EXPECT_EQ(writer->durable(), kBegin + 1000);
    EXPECT_TRUE(append_and_cut(*writer, kBegin + 1500));
    ASSERT_TRUE(wait_durable(*writer, kBegin + 1500));
    EXPECT_TRUE(std::ranges::equal(chain(5), slice(kBegin, kBegin + 1500)));
    EXPECT_TRUE(writer->has_pieces(5));
    EXPECT_EQ(writer->pieces(), 1);
}

// Before the archiver was done with a segment, commits had pieces of the next one made.
TEST_F(TailWriterTest, AChainOverTwoSegmentsIsGoneOnWith) {
    put_piece(5, 0, slice(kBegin, kBegin + kSize));
    put_piece(6, 0, slice(kBegin + kSize, kBegin + kSize + 700));
    auto writer = make_at(kBegin, adopt_tail(*repository, target(), {1, 5}, kBegin + kSize + 900,
                                             [](const Error&) {}));
    EXPECT_FALSE(append_and_cut(*writer, kBegin + kSize + 600));
    EXPECT_EQ(writer->durable(), kBegin + kSize + 600);
    EXPECT_TRUE(writer->has_pieces(5));
    EXPECT_TRUE(writer->has_pieces(6));
    EXPECT_TRUE(append_and_cut(*writer, kBegin + kSize + 900));
    ASSERT_TRUE(wait_durable(*writer, kBegin + kSize + 900));
    EXPECT_TRUE(std::ranges::equal(chain(6), slice(kBegin + kSize, kBegin + kSize + 900)));
}

// Recovery would take another server's whole before our pieces: nothing more is durable.
TEST_F(TailWriterTest, TheWholeOfAnotherServerIsInTheWay) {
    auto writer = make_at(kBegin);
    put_whole(5);
    append_and_cut(*writer, kBegin + 1000);
    try {
        wait_durable(*writer, kBegin + 1000);
        FAIL();
    } catch (const PieceInTheWay& error) {
        EXPECT_EQ(error.code, ErrorCode::conflict);
        EXPECT_NE(error.detail.find("host archiver"), std::string::npos) << error.detail;
    }
    EXPECT_EQ(writer->durable(), kBegin);
}

TEST_F(TailWriterTest, TheWholeOfAFinishedSegmentIsNotInTheWay) {
    auto writer = make_at(kBegin);
    put_whole(5);
    append_and_cut(*writer, kBegin + 1000);
    append(*writer, kBegin + kSize);
    ASSERT_TRUE(wait_durable(*writer, kBegin + 1000));
}

TEST_F(TailWriterTest, OtherWalIsAConflictThatNamesBothWriters) {
    Bytes other(slice(kBegin, kBegin + 1000).begin(), slice(kBegin, kBegin + 1000).end());
    other[900] ^= std::byte{1};
    put_piece(5, 0, other, "two");
    auto writer = make_at(kBegin, read_tail(context(), WalBuilder::name(5)));
    append(*writer, kBegin + 900);
    try {
        append(*writer, kBegin + 2000);
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code, ErrorCode::conflict);
        EXPECT_NE(error.message.find(to_text(kBegin + 900)), std::string::npos) << error.message;
        EXPECT_NE(error.detail.find("host two"), std::string::npos) << error.detail;
        EXPECT_NE(error.detail.find("host one"), std::string::npos) << error.detail;
    }
    EXPECT_EQ(writer->durable(), kBegin + 900);
}

// The reply was lost, and the store was asked again: it has this very piece.
TEST_F(TailWriterTest, APieceThatIsThereWithTheSameBytesIsDurable) {
    put_piece(5, 0, slice(kBegin, kBegin + 1000), "earlier");
    auto writer = make_at(kBegin);
    append_and_cut(*writer, kBegin + 1000);
    ASSERT_TRUE(wait_durable(*writer, kBegin + 1000));
}

TEST_F(TailWriterTest, APieceThatIsThereWithOtherBytesIsInTheWay) {
    put_piece(5, 0, slice(kBegin, kBegin + 999), "earlier");
    auto writer = make_at(kBegin);
    append_and_cut(*writer, kBegin + 1000);
    EXPECT_THROW(wait_durable(*writer, kMaxLsn), PieceInTheWay);
    EXPECT_EQ(writer->durable(), kBegin);
}

TEST_F(TailWriterTest, APieceThatIsDamagedIsNotDurable) {
    put_piece(5, 0, slice(kBegin, kBegin + 1000));
    Bytes stored = base->get(piece(5, 0), 1 << 20).value();
    stored[stored.size() - 3] ^= std::byte{1};
    base->remove(piece(5, 0));
    base->put_if_absent(piece(5, 0), stored);
    auto writer = make_at(kBegin);
    append_and_cut(*writer, kBegin + 1000);
    EXPECT_EQ(failure(*writer), ErrorCode::corrupt);
    EXPECT_EQ(writer->durable(), kBegin);
}

TEST_F(TailWriterTest, AnErrorOfTheStoreEndsItAtTheFirstPieceThatFailed) {
    at_each_call([&](const std::string& call, const std::string& name) {
        if (call == "put" && name == piece(5, 1000))
            throw Error(ErrorCode::unavailable, "away");
    });
    auto writer = make_at(kBegin);
    for (const Lsn end : {kBegin + 1000, kBegin + 2000, kBegin + 3000})
        append_and_cut(*writer, end);
    EXPECT_EQ(failure(*writer), ErrorCode::unavailable);
    EXPECT_EQ(writer->durable(), kBegin + 1000);
    writer.reset();
    // What comes after goes on with what is there, and finds the later piece in its place.
    at_each_call(nullptr);
    auto next = make_at(kBegin, read_tail(context(), WalBuilder::name(5)));
    append(*next, kBegin + 2000);
    EXPECT_TRUE(next->cut(CutRule::everything));
    EXPECT_TRUE(append_and_cut(*next, kBegin + 3000));
    ASSERT_TRUE(wait_durable(*next, kBegin + 3000));
    EXPECT_TRUE(std::ranges::equal(chain(5), slice(kBegin, kBegin + 3000)));
}

// The last answer of a put was lost for good.
TEST_F(TailWriterTest, WhatTheStoreHasNotSaidIsNotDurable) {
    at_each_call([&](const std::string& call, const std::string&) {
        if (call == "put-answer")
            throw Error(ErrorCode::timeout, "no answer");
    });
    auto writer = make_at(kBegin);
    append_and_cut(*writer, kBegin + 1000);
    EXPECT_EQ(failure(*writer), ErrorCode::timeout);
    EXPECT_EQ(writer->durable(), kBegin);
    EXPECT_EQ(chain(5).size(), 1000);
}

// The bytes before the fork are the parent's: a chain that ends there would say nothing.
TEST_F(TailWriterTest, TheFirstPieceOfATimelineReachesPastItsBegin) {
    const Lsn fork = kBegin + 5000;
    auto writer = make(2, fork);
    writer->begin(kBegin, std::nullopt);
    EXPECT_FALSE(append_and_cut(*writer, kBegin + 1000));
    EXPECT_FALSE(append_and_cut(*writer, fork));
    EXPECT_TRUE(append_and_cut(*writer, fork + 100));
    ASSERT_TRUE(wait_durable(*writer, fork + 100));
    EXPECT_TRUE(append_and_cut(*writer, fork + 200));
    ASSERT_TRUE(wait_durable(*writer, fork + 200));
    EXPECT_TRUE(base->head(kCluster + "/" + place::tail(WalBuilder::name(5, 2), 5100)));
}

TEST_F(TailWriterTest, LargeSegmentsAreCutIntoSeveralPieces) {
    PushTarget large = target();
    large.segment_size = 16 << 20;
    TailWriter writer(large, 1, 0, [this] { bell.ring(); });
    const Lsn begin = 3 * large.segment_size;
    writer.begin(begin, std::nullopt);
    const Bytes content(large.segment_size + 100, std::byte{7});
    writer.append(content);
    int cuts = 0;
    ASSERT_TRUE(bell.wait([&] {
        writer.collect();
        while (writer.cut(CutRule::everything))
            ++cuts;
        return writer.durable() == begin + content.size();
    }));
    EXPECT_EQ(cuts, 5);
    const std::string last = segment_name({1, 3}, large.segment_size);
    EXPECT_TRUE(base->head(kCluster + "/" + place::tail(last, 12 << 20)));
    EXPECT_TRUE(
        base->head(kCluster + "/" + place::tail(segment_name({1, 4}, large.segment_size), 0)));
}

// Whatever is cut when and fails where: what was called durable can be read back, and what is left
// looks like no loss.
TEST_F(TailWriterTest, WhatIsDurableCanBeReadBack) {
    std::mt19937 random(7);
    for (int round = 0; round < 20; ++round) {
        std::atomic<int> calls = 0;
        const int fails_at = 3 + static_cast<int>(random() % 40);
        at_each_call([&](const std::string& call, const std::string&) {
            if (!call.starts_with("put") || ++calls != fails_at)
                return;
            throw Error(ErrorCode::unavailable, "away");
        });
        Lsn durable = kBegin;
        try {
            const bool adopt = !chain(5).empty();
            auto writer =
                make_at(kBegin, adopt ? read_tail(context(), WalBuilder::name(5)) : std::nullopt);
            while (writer->received() < kBegin + 2 * kSize + 1000) {
                append(*writer,
                       std::min(writer->received() + random() % 100000, kBegin + 2 * kSize + 1000));
                writer->cut(CutRule::everything);
                writer->collect();
                durable = writer->durable();
            }
            bell.wait([&] {
                writer->collect();
                writer->cut(CutRule::everything);
                durable = writer->durable();
                return durable == kBegin + 2 * kSize + 1000;
            });
        } catch (const Error& error) {
            EXPECT_TRUE(error.code == ErrorCode::unavailable || error.code == ErrorCode::conflict);
        }
        at_each_call(nullptr);
        Bytes there;
        for (const uint64_t number : {5, 6, 7}) {
            const Bytes part = chain(number);
            const auto read = read_tail(context(), WalBuilder::name(number));
            EXPECT_FALSE(read && read->is_torn_apart);
            there.insert(there.end(), part.begin(), part.end());
            if (part.size() < kSize)
                break;
        }
        ASSERT_GE(kBegin + there.size(), durable);
        EXPECT_TRUE(std::ranges::equal(there, ByteView(bytes).first(there.size())));
    }
}

}  // namespace
}  // namespace ark
