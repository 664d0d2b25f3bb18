#include "core/pipeline/digest.hpp"

#include <gtest/gtest.h>

namespace ark {
namespace {

TEST(Digest, ExamplesOfTheStandard) {
    EXPECT_EQ(sha256_hex({}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(sha256_hex(as_bytes("abc")),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Digest, PiecesGiveTheDigestOfTheWhole) {
    const std::string text(1000, 'x');
    for (size_t cut = 0; cut <= text.size(); cut += 63) {
        Sha256 digest;
        digest.update(as_bytes(std::string_view(text).substr(0, cut)));
        Sha256 moved = std::move(digest);
        moved.update(as_bytes(std::string_view(text).substr(cut)));
        EXPECT_EQ(moved.finish(), sha256_hex(as_bytes(text)));
    }
}

}  // namespace
}  // namespace ark
