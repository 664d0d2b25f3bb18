#include "core/crypto/hpke.hpp"

#include <vector>

#include <gtest/gtest.h>

#include "core/crypto/x25519.hpp"
#include "test/support/expect_error.hpp"

namespace ark {
namespace {

const std::string kInfo = text_from_hex("4f6465206f6e2061204772656369616e2055726e");
const std::string kPlain = "4265617574792069732074727574682c20747275746820626561757479";

struct HpkeAnswer {
    HpkeAead aead;
    const char* ephemeral_private;
    const char* recipient_private;
    const char* recipient_public;
    const char* enc;
    const char* sealed;
};

// The first is in RFC 9180, appendix A.1.1; both are in the test vectors of the working group
// (github.com/cfrg/draft-irtf-cfrg-hpke), kem_id 32, kdf_id 1, mode 0, the first encryption.
const std::vector<HpkeAnswer> kAnswers{
    {HpkeAead::aes_128_gcm, "52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736",
     "4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8",
     "3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d",
     "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431",
     "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a"},
    {HpkeAead::aes_256_gcm, "179d4b53b6365c45b600c4163b61d95cbc2f4d9e36f1695558dce265ab8bab11",
     "497b4502664cfea5d5af0b39934dac72242a74f8480451e1aee7d6a53320333d",
     "430f4b9859665145a6b1ba274024487bd66f03a2dd577d7753c68d7d7d00c00c",
     "6c93e09869df3402d7bf231bf540fadd35cd56be14f97178f0954db94b7fc256",
     "e5d84cd531cfb583096e7cfa9641bd3079cf3a91cda813c52deb5f512be9931980a41de125a925cdad859d5b7a"},
};

TEST(Hpke, KnownAnswers) {
    const Bytes aad = from_hex("436f756e742d30");
    for (const HpkeAnswer& answer : kAnswers) {
        EXPECT_EQ(to_hex(x25519_public(from_hex(answer.recipient_private))),
                  answer.recipient_public);
        const HpkeMessage message =
            hpke_seal_with(answer.aead, from_hex(answer.ephemeral_private),
                           from_hex(answer.recipient_public), kInfo, aad, from_hex(kPlain));
        EXPECT_EQ(to_hex(message.enc), answer.enc);
        EXPECT_EQ(to_hex(message.sealed), answer.sealed);
        const auto opened =
            hpke_open_with(answer.aead, from_hex(answer.recipient_private), kInfo, aad, message);
        ASSERT_TRUE(opened);
        EXPECT_EQ(to_hex(*opened), kPlain);
    }
    // What is used is the suite of the second.
    const HpkeAnswer& used = kAnswers[1];
    const auto opened = hpke_open(from_hex(used.recipient_private), kInfo, aad,
                                  {from_hex(used.enc), from_hex(used.sealed)});
    ASSERT_TRUE(opened);
    EXPECT_EQ(to_hex(*opened), kPlain);
}

TEST(Hpke, EveryBitCounts) {
    const SecretBytes recipient = random_secret(32);
    HpkeMessage message =
        hpke_seal(x25519_public(recipient), "info", as_bytes("aad"), as_bytes("plain"));
    const auto opens = [&](std::string_view info = "info", std::string_view aad = "aad") {
        return hpke_open(recipient, info, as_bytes(aad), message).has_value();
    };
    for (Bytes* bytes : {&message.enc, &message.sealed}) {
        for (size_t bit = 0; bit < bytes->size() * 8; ++bit) {
            // X25519 does not look at the highest bit of a public key; HPKE's context does.
            (*bytes)[bit / 8] ^= std::byte{1} << (bit % 8);
            EXPECT_FALSE(opens()) << bit;
            (*bytes)[bit / 8] ^= std::byte{1} << (bit % 8);
        }
    }
    EXPECT_TRUE(opens());
    EXPECT_FALSE(opens("Info"));
    EXPECT_FALSE(opens("info", "Aad"));
    EXPECT_FALSE(hpke_open(random_secret(32), "info", as_bytes("aad"), message));
    message.enc.pop_back();
    EXPECT_FALSE(opens());
}

TEST(Hpke, EachMessageHasItsOwnKey) {
    const Bytes recipient = x25519_public(random_secret(32));
    const HpkeMessage one = hpke_seal(recipient, "i", {}, as_bytes("plain"));
    const HpkeMessage two = hpke_seal(recipient, "i", {}, as_bytes("plain"));
    EXPECT_NE(one.enc, two.enc);
    EXPECT_NE(one.sealed, two.sealed);
}

TEST(Hpke, APublicKeyThatForcesTheSecret) {
    test::expect_error(ErrorCode::invalid_argument,
                       [] { return hpke_seal(Bytes(32), "i", {}, as_bytes("plain")); });
    test::expect_error(ErrorCode::invalid_argument,
                       [] { return hpke_seal(Bytes(31), "i", {}, as_bytes("plain")); });
    EXPECT_FALSE(hpke_open(random_secret(32), "i", {}, {Bytes(32), Bytes(48)}));
}

// RFC 7748, sections 5.2 (the second) and 6.1.
TEST(X25519, KnownAnswers) {
    const Bytes alice =
        from_hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    const Bytes bob = from_hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    const char* shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
    EXPECT_EQ(to_hex(x25519_public(alice)),
              "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    EXPECT_EQ(to_hex(x25519_public(bob)),
              "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
    EXPECT_EQ(to_hex(*x25519(alice, x25519_public(bob))), shared);
    EXPECT_EQ(to_hex(*x25519(bob, x25519_public(alice))), shared);
    EXPECT_EQ(to_hex(*x25519(
                  from_hex("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d"),
                  from_hex("e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493"))),
              "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957");
}

// The points of small order (RFC 7748, section 6.1, on the check for zeros).
TEST(X25519, AnAllZeroSecretIsRefused) {
    for (const char* point : {"0000000000000000000000000000000000000000000000000000000000000000",
                              "0100000000000000000000000000000000000000000000000000000000000000",
                              "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                              "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"}) {
        EXPECT_FALSE(x25519(random_secret(32), from_hex(point))) << point;
    }
    EXPECT_FALSE(x25519(random_secret(32), Bytes(31)));
}

}  // namespace
}  // namespace ark
