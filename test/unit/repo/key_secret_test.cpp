#include "core/repo/key_secret.hpp"

#include <string>

#include <gtest/gtest.h>

#include "core/crypto/base64.hpp"
#include "test/support/expect_error.hpp"

namespace ark {
namespace {

using test::expect_error;
using test::mentions;

const std::string kKey = "pgark-key-1:" + to_base64(Bytes(32, std::byte{0xA5}));

std::string text_of(const SecretBytes& bytes) {
    return std::string(as_text(bytes));
}

TEST(KeySecret, AKey) {
    for (const char* end : {"", "\n", "\r\n"}) {
        const KeySecret secret = parse_key_secret(kKey + end);
        EXPECT_EQ(secret.type, KeySecret::Type::key);
        EXPECT_EQ(secret.bytes, SecretBytes(32, std::byte{0xA5}));
    }
}

TEST(KeySecret, EachNewOneIsAnother) {
    const std::string one = text_of(make_key_secret());
    EXPECT_EQ(parse_key_secret(one).bytes.size(), 32U);
    EXPECT_TRUE(one.ends_with("\n"));
    EXPECT_NE(one, text_of(make_key_secret()));
}

TEST(KeySecret, APassphrase) {
    const KeySecret secret = parse_key_secret("passphrase: of several: words \n");
    EXPECT_EQ(secret.type, KeySecret::Type::passphrase);
    EXPECT_EQ(text_of(secret.bytes), " of several: words ");
}

TEST(KeySecret, AnythingElseIsRefusedAndNotRepeated) {
    const std::string base64 = kKey.substr(12);
    std::string spare_bits = kKey;
    spare_bits[spare_bits.size() - 2] = 'V';  // decodes to the same bytes
    for (const std::string& text : {std::string(),
                                    std::string("\n"),
                                    std::string("hunter2"),
                                    base64,
                                    "PGARK-KEY-1:" + base64,
                                    kKey.substr(0, kKey.size() - 1),
                                    kKey + "A",
                                    kKey + " ",
                                    " " + kKey,
                                    kKey + "\n\n",
                                    spare_bits,
                                    std::string("pgark-key-1:"),
                                    "pgark-key-1:" + to_base64(Bytes(31)),
                                    "pgark-key-1:" + to_base64(Bytes(33)),
                                    "pgark-key-2:" + base64,
                                    std::string("passphrase:"),
                                    std::string("passphrase:\n"),
                                    std::string("passphrase:hunter2\nmore"),
                                    std::string("passphrase:hunter2\n\n"),
                                    std::string("passphrase:hun\0ter2", 19),
                                    "passphrase:hunter2" + std::string(kMaxSecretText, 'x')}) {
        const Error error = expect_error(
            ErrorCode::invalid_argument, [&] { return parse_key_secret(text); }, text);
        const std::string all = error.message + error.detail + error.hint;
        EXPECT_FALSE(mentions(all, "hunter2"));
        EXPECT_FALSE(mentions(all, base64.substr(0, 8)));
    }
}

Recipient some_recipient(const std::string& id = "0123456789abcdef", int identity = 2) {
    return {id, Bytes(32, std::byte{1}), SecretBytes(32, static_cast<std::byte>(identity))};
}

TEST(Recipient, ThereAndBack) {
    const std::string text = text_of(to_text(some_recipient()));
    EXPECT_TRUE(text.starts_with("pgark-recipient-1:0123456789abcdef:")) << text;
    const auto back = parse_recipients(text);
    ASSERT_EQ(back.size(), 1U);
    EXPECT_EQ(back[0].key_id, "0123456789abcdef");
    EXPECT_EQ(back[0].public_key, Bytes(32, std::byte{1}));
    EXPECT_EQ(back[0].identity, SecretBytes(32, std::byte{2}));
    const std::string other = text_of(to_text(some_recipient("fedcba9876543210")));
    for (const char* between : {",", " , ", "\n", "\t"}) {
        const auto two = parse_recipients(" " + text + std::string(between) + other + "\n");
        ASSERT_EQ(two.size(), 2U);
        EXPECT_EQ(two[1].key_id, "fedcba9876543210");
    }
}

TEST(Recipient, AnythingElseIsRefused) {
    const std::string text = text_of(to_text(some_recipient()));
    std::string many;
    for (size_t i = 0; i <= kMaxRecipients; ++i)
        many += text_of(to_text(some_recipient(to_hex(Bytes(8, static_cast<std::byte>(i)))))) + ",";
    for (const std::string& bad :
         {std::string(), std::string(" , "), text + "," + text, many, text.substr(1), text + "x",
          text + ":", text.substr(0, text.size() - 1), text_of(to_text(some_recipient("0123"))),
          text_of(to_text(some_recipient("0123456789ABCDEF"))), std::string("pgark-recipient-1:"),
          std::string("pgark-recipient-1:0123456789abcdef"), text + ",hunter2",
          text + "," + text_of(to_text(some_recipient("fedcba9876543210", 3)))}) {
        const Error error = expect_error(
            ErrorCode::invalid_argument, [&] { return parse_recipients(bad); }, bad);
        EXPECT_FALSE(mentions(error.message + error.detail + error.hint, "hunter2"));
    }
    EXPECT_EQ(parse_recipients(many.substr(many.find(',') + 1)).size(), kMaxRecipients);
}

}  // namespace
}  // namespace ark
