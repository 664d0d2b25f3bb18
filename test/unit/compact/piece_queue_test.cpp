#include "core/compact/piece_queue.hpp"

#include <string>

#include <gtest/gtest.h>

#include "test/support/expect_error.hpp"

namespace ark {
namespace {

using test::expect_error;

std::string taken(PieceQueue& queue, size_t bytes) {
    std::string out(bytes, '?');
    queue.take({reinterpret_cast<std::byte*>(out.data()), out.size()});
    return out;
}

TEST(PieceQueue, PiecesOfAnySizeAreTakenInAnyOther) {
    std::string all(1000, '\0');
    for (size_t i = 0; i < all.size(); ++i)
        all[i] = static_cast<char>(i * 7);
    for (const size_t given : {1U, 3U, 10U, 999U, 1000U}) {
        for (const size_t asked : {1U, 7U, 10U, 500U, 1000U}) {
            PieceQueue queue([&](const PieceQueue::Give& give) {
                for (size_t at = 0; at < all.size(); at += given)
                    give(as_bytes(all.substr(at, given)));
            });
            std::string out;
            while (out.size() < all.size())
                out += taken(queue, std::min(asked, all.size() - out.size()));
            queue.finish();
            EXPECT_TRUE(out == all) << given << " and " << asked;
        }
    }
}

TEST(PieceQueue, OfNothingNothingIsTaken) {
    PieceQueue queue([](const PieceQueue::Give&) {});
    EXPECT_EQ(taken(queue, 0), "");
    queue.finish();
}

TEST(PieceQueue, WhoEndsEarlyOrGoesOnIsCorrupt) {
    PieceQueue ends([](const PieceQueue::Give& give) { give(as_bytes("four")); });
    EXPECT_EQ(taken(ends, 3), "fou");
    expect_error(ErrorCode::corrupt, [&] { return taken(ends, 2); });

    PieceQueue goes_on([](const PieceQueue::Give& give) {
        give(as_bytes("four"));
        give(as_bytes("more"));
    });
    EXPECT_EQ(taken(goes_on, 4), "four");
    expect_error(ErrorCode::corrupt, [&] { return goes_on.finish(), 0; });
}

// What a reader notices in its last piece it says behind it: who has all bytes must ask for that.
TEST(PieceQueue, AnErrorOfTheReadersIsToldOnce) {
    const auto read = [](const PieceQueue::Give& give) {
        give(as_bytes("four"));
        throw Error(ErrorCode::corrupt, "the checksum is another");
    };
    PieceQueue early(read);
    EXPECT_EQ(taken(early, 4), "four");
    EXPECT_EQ(expect_error(ErrorCode::corrupt, [&] { return taken(early, 1); }).message,
              "the checksum is another");
    PieceQueue late(read);
    EXPECT_EQ(taken(late, 4), "four");
    EXPECT_EQ(expect_error(ErrorCode::corrupt, [&] { return late.finish(), 0; }).message,
              "the checksum is another");
}

TEST(PieceQueue, AReaderWhomNobodyAsksAnyMoreEnds) {
    bool ended = false;
    {
        PieceQueue queue([&](const PieceQueue::Give& give) {
            struct AtEnd {
                bool& ended;
                ~AtEnd() { ended = true; }
            } at_end{ended};
            for (;;)
                give(as_bytes("endless"));
        });
        EXPECT_EQ(taken(queue, 10), "endlessend");
    }
    EXPECT_TRUE(ended);
    {
        const PieceQueue never_asked(
            [](const PieceQueue::Give& give) { give(as_bytes("something")); });
    }
}

}  // namespace
}  // namespace ark
