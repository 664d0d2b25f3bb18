#include "core/pipeline/content_hash.hpp"

#include <gtest/gtest.h>

#include "test/support/expect_error.hpp"

namespace ark {
namespace {

// As xxh128sum prints them.
TEST(ContentHash, IsXxh128) {
    EXPECT_EQ(to_text(content_hash(as_bytes(""))), "99aa06d3014798d86001c324468d497f");
    EXPECT_EQ(to_text(content_hash(as_bytes("abc"))), "06b05ab6733a618578af5f94892f3950");
}

TEST(ContentHash, PiecesMakeTheWhole) {
    std::string text;
    for (int i = 0; i < 5000; ++i)
        text += std::to_string(i);
    ContentHash hash;
    for (size_t begin = 0; begin < text.size(); begin += 777)
        hash.update(as_bytes(std::string_view(text).substr(begin, 777)));
    EXPECT_EQ(hash.finish(), content_hash(as_bytes(text)));
}

TEST(ContentHash, TextComesBack) {
    const Hash128 hash = content_hash(as_bytes("x"));
    EXPECT_TRUE(hash.is_known());
    EXPECT_EQ(parse_hash128(to_text(hash)), hash);
    for (const char* bad :
         {"", "12", "99aa06d3014798d86001c324468d497", "99aa06d3014798d86001c324468d497g",
          "99aa06d3014798d86001c324468d497f0", "-9aa06d3014798d86001c324468d497f"}) {
        test::expect_error(ErrorCode::corrupt, [&] { parse_hash128(bad); });
    }
}

}  // namespace
}  // namespace ark
