#include "core/http/crypto.hpp"

#include <initializer_list>
#include <string>

#include <gtest/gtest.h>

#include "test/support/expect_error.hpp"
#include "test/support/rfc7515_key.hpp"

namespace ark {
namespace {

TEST(Crypto, SignsAsRfc7515Does) {
    EXPECT_EQ(to_base64url(rsa_sha256(test::kRfc7515Key, test::kRfc7515Text)),
              test::kRfc7515Signature);
}

TEST(Crypto, AKeyThatIsNoneIsRefusedAndNotRepeated) {
    const std::string pem = test::kRfc7515Key;
    for (const std::string& key : {std::string("hunter2"), std::string(), pem.substr(0, 500)}) {
        const Error error = test::expect_error(ErrorCode::invalid_argument,
                                               [&] { return rsa_sha256(key, "text"); });
        EXPECT_EQ((error.message + error.detail).find("hunter2"), std::string::npos);
    }
}

// RFC 4648, section 10, and the two characters in which the alphabets differ.
TEST(Crypto, Base64ForUrls) {
    EXPECT_EQ(to_base64url(as_bytes("")), "");
    EXPECT_EQ(to_base64url(as_bytes("f")), "Zg");
    EXPECT_EQ(to_base64url(as_bytes("fo")), "Zm8");
    EXPECT_EQ(to_base64url(as_bytes("foo")), "Zm9v");
    EXPECT_EQ(to_base64(as_bytes("\xFB\xFF\xFE")), "+//+");
    EXPECT_EQ(to_base64url(as_bytes("\xFB\xFF\xFE")), "-__-");
}

}  // namespace
}  // namespace ark
