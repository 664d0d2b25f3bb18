#include "core/crypto/kdf.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "test/support/expect_error.hpp"

namespace ark {
namespace {

std::string counting(int from, int to) {
    std::string hex;
    for (int i = from; i <= to; ++i) {
        const auto byte = static_cast<std::byte>(i);
        hex += to_hex(ByteView(&byte, 1));
    }
    return hex;
}

// RFC 5869, appendix A.1 to A.3.
TEST(Hkdf, KnownAnswers) {
    struct Answer {
        std::string ikm, salt, info, extracted, expanded;
    };
    const std::vector<Answer> answers{
        {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", counting(0, 0x0c), counting(0xf0, 0xf9),
         "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
         "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
        {counting(0, 0x4f), counting(0x60, 0xaf), counting(0xb0, 0xff),
         "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
         "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c6"
         "5e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"},
        {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
         "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
         "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"}};
    for (const Answer& answer : answers) {
        const SecretBytes key = hkdf_extract(from_hex(answer.salt), from_hex(answer.ikm));
        EXPECT_EQ(to_hex(key), answer.extracted);
        const size_t size = answer.expanded.size() / 2;
        EXPECT_EQ(to_hex(hkdf_expand(key, from_hex(answer.info), size)), answer.expanded);
        EXPECT_EQ(
            to_hex(hkdf(from_hex(answer.salt), from_hex(answer.ikm), from_hex(answer.info), size)),
            answer.expanded);
    }
}

TEST(Hkdf, AKeyForEachPurpose) {
    const Bytes key(32, std::byte{1});
    EXPECT_EQ(derive_key(key, "a"), hkdf({}, key, as_bytes("a"), 32));
    EXPECT_NE(derive_key(key, "a"), derive_key(key, "b"));
    EXPECT_EQ(derive_key(key, "a").size(), 32U);
}

// RFC 7914, section 12; its last one takes 1 GiB.
TEST(Scrypt, KnownAnswers) {
    EXPECT_EQ(to_hex(scrypt({}, {}, {16, 1, 1}, 64)),
              "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"
              "fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906");
    EXPECT_EQ(to_hex(scrypt(as_bytes("password"), as_bytes("NaCl"), {1024, 8, 16}, 64)),
              "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
              "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640");
    EXPECT_EQ(
        to_hex(scrypt(as_bytes("pleaseletmein"), as_bytes("SodiumChloride"), {16384, 8, 1}, 64)),
        "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
        "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887");
}

TEST(Scrypt, CostsThatAreNone) {
    for (const ScryptCost& cost : {ScryptCost{0, 8, 1},
                                   {1, 8, 1},
                                   {1000, 8, 1},
                                   {1024, 0, 1},
                                   {1024, 8, 0},
                                   {uint64_t{1} << 40, 8, 1}}) {
        test::expect_error(ErrorCode::invalid_argument,
                           [&] { return scrypt(as_bytes("x"), as_bytes("y"), cost, 32); });
    }
}

// RFC 4231, test case 2.
TEST(Hmac, KnownAnswer) {
    EXPECT_EQ(to_hex(hmac_sha256(as_bytes("Jefe"), as_bytes("what do ya want for nothing?"))),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

}  // namespace
}  // namespace ark
