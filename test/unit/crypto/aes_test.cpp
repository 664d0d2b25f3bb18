#include "core/crypto/aes.hpp"

#include <vector>

#include <gtest/gtest.h>

#include "test/support/expect_error.hpp"

namespace ark {
namespace {

struct GcmAnswer {
    const char* key;
    const char* nonce;
    const char* aad;
    const char* plain;
    const char* sealed;  ///< ciphertext and tag
};

// The test cases 13 to 16 (AES-256) and 4 (AES-128) of the specification that was submitted to
// NIST, "The Galois/Counter Mode of Operation (GCM)", appendix B.
const std::vector<GcmAnswer> kGcmAnswers{
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000",
     "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000",
     "", "00000000000000000000000000000000",
     "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"},
    {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
     "b094dac5d93471bdec1a502270e3cc6c"},
    {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
     "76fc6ece0f4e1768cddf8853bb2d551b"},
    {"feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
     "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
     "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
     "5bc94fbc3221a5db94fae95ae7121a47"},
};

TEST(AesGcm, KnownAnswers) {
    for (const GcmAnswer& answer : kGcmAnswers) {
        AesGcm cipher(from_hex(answer.key));
        const Bytes nonce = from_hex(answer.nonce);
        const Bytes aad = from_hex(answer.aad);
        const Bytes plain = from_hex(answer.plain);
        Bytes sealed(plain.size() + AesGcm::kTagBytes);
        for (int again = 0; again < 2; ++again) {  // the context is used again
            cipher.seal(nonce, aad, plain, sealed);
            EXPECT_EQ(to_hex(sealed), answer.sealed);
            Bytes opened(plain.size());
            EXPECT_TRUE(cipher.open(nonce, aad, sealed, opened));
            EXPECT_EQ(opened, plain);
        }
    }
}

TEST(AesGcm, InPlace) {
    const GcmAnswer& answer = kGcmAnswers[3];
    AesGcm cipher(from_hex(answer.key));
    const Bytes plain = from_hex(answer.plain);
    Bytes buffer = plain;
    buffer.resize(plain.size() + AesGcm::kTagBytes);
    cipher.seal(from_hex(answer.nonce), from_hex(answer.aad), ByteView(buffer).first(plain.size()),
                buffer);
    EXPECT_EQ(to_hex(buffer), answer.sealed);
    ASSERT_TRUE(cipher.open(from_hex(answer.nonce), from_hex(answer.aad), buffer, buffer));
    EXPECT_EQ(Bytes(buffer.begin(), buffer.begin() + static_cast<ptrdiff_t>(plain.size())), plain);
}

TEST(AesGcm, EveryBitCounts) {
    const GcmAnswer& answer = kGcmAnswers[3];
    AesGcm cipher(from_hex(answer.key));
    Bytes sealed = from_hex(answer.sealed);
    Bytes nonce = from_hex(answer.nonce);
    Bytes aad = from_hex(answer.aad);
    Bytes out(sealed.size() - AesGcm::kTagBytes);
    const auto flip_each = [&](Bytes& bytes) {
        for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
            bytes[bit / 8] ^= std::byte{1} << (bit % 8);
            EXPECT_FALSE(cipher.open(nonce, aad, sealed, out)) << bit;
            EXPECT_TRUE(is_all_zero(out)) << "what is not authentic is not given";
            bytes[bit / 8] ^= std::byte{1} << (bit % 8);
        }
    };
    flip_each(sealed);
    flip_each(nonce);
    flip_each(aad);
    for (size_t size = 0; size < sealed.size(); ++size)
        EXPECT_FALSE(cipher.open(nonce, aad, ByteView(sealed).first(size), out)) << size;
    EXPECT_TRUE(cipher.open(nonce, aad, sealed, out));
    AesGcm other(from_hex(kGcmAnswers[0].key));
    EXPECT_FALSE(other.open(nonce, aad, sealed, out));
}

TEST(AesGcm, AKeyOrNonceOfAnotherLengthIsABug) {
    Bytes out(16);
    test::expect_error(ErrorCode::internal, [&] {
        AesGcm(Bytes(24)).seal(Bytes(12), {}, {}, out);
        return 0;
    });
    test::expect_error(ErrorCode::internal, [&] {
        AesGcm(Bytes(32)).seal(Bytes(16), {}, {}, out);
        return 0;
    });
}

// RFC 3394, sections 4.3, 4.5 and 4.6: those under a key of 256 bits.
TEST(KeyWrap, KnownAnswers) {
    const Bytes key = from_hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
    const std::vector<std::pair<std::string, std::string>> answers{
        {"00112233445566778899aabbccddeeff", "64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7"},
        {"00112233445566778899aabbccddeeff0001020304050607",
         "a8f9bc1612c68b3ff6e6f4fbe30e71e4769c8b80a32cb8958cd5d17d6b254da1"},
        {"00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f",
         "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21"}};
    for (const auto& [plain, wrapped] : answers) {
        EXPECT_EQ(to_hex(wrap_key(key, from_hex(plain))), wrapped);
        const auto unwrapped = unwrap_key(key, from_hex(wrapped));
        ASSERT_TRUE(unwrapped);
        EXPECT_EQ(to_hex(*unwrapped), plain);
    }
}

TEST(KeyWrap, EveryBitCounts) {
    Bytes key(32, std::byte{7});
    Bytes wrapped = wrap_key(key, Bytes(32, std::byte{9}));
    for (Bytes* bytes : {&wrapped, &key}) {
        for (size_t bit = 0; bit < bytes->size() * 8; ++bit) {
            (*bytes)[bit / 8] ^= std::byte{1} << (bit % 8);
            EXPECT_FALSE(unwrap_key(key, wrapped)) << bit;
            (*bytes)[bit / 8] ^= std::byte{1} << (bit % 8);
        }
    }
    for (size_t size = 0; size < wrapped.size(); ++size)
        EXPECT_FALSE(unwrap_key(key, ByteView(wrapped).first(size))) << size;
    EXPECT_TRUE(unwrap_key(key, wrapped));
    test::expect_error(ErrorCode::internal, [&] { return wrap_key(key, Bytes(31)); });
}

}  // namespace
}  // namespace ark
