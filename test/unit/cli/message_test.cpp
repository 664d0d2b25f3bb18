#include "cli/child/message.hpp"

#include "test/support/expect_error.hpp"

namespace ark {
namespace {

TEST(Message, RoundTrips) {
    const std::string reason = "any \xFF bytes \n = x" + std::string(1, '\0');
    Message message("backup");
    message.add_token("id", "manual_1.a:b/c+d-e")
        .add_text("reason", reason)
        .add_text("empty", "")
        .add_number("started_at", 18446744073709551615ULL);
    const std::string line = message.format();
    EXPECT_EQ(line.find('\n'), line.size() - 1);
    const Message back = Message::parse(std::string_view(line).substr(0, line.size() - 1));
    EXPECT_EQ(back.verb(), "backup");
    EXPECT_EQ(back.token("id"), "manual_1.a:b/c+d-e");
    EXPECT_EQ(back.text("reason"), reason);
    EXPECT_EQ(back.text("empty"), "");
    EXPECT_EQ(back.number("started_at"), 18446744073709551615ULL);
    EXPECT_EQ(back.format(), line);
}

TEST(Message, AVerbAloneIsAMessage) {
    EXPECT_EQ(Message::parse("prepare").verb(), "prepare");
    EXPECT_EQ(Message("ready").format(), "ready\n");
}

TEST(Message, MissingKeysAreToldApartFromEmptyOnes) {
    const Message message = Message::parse("x a= b=1");
    EXPECT_TRUE(message.has("a"));
    EXPECT_EQ(message.text("a"), "");
    EXPECT_EQ(message.text_or("c", "other"), "other");
    EXPECT_EQ(message.token_or("b", "other"), "1");
    EXPECT_EQ(message.number_or("c", 7), 7U);
    const Error error =
        test::expect_error(ErrorCode::protocol_violation, [&] { return message.token("c"); });
    EXPECT_TRUE(test::mentions(error.detail, "\"c\""));
}

TEST(Message, ValuesOfAnotherFormAreViolations) {
    const Message message =
        Message::parse("x n=12a t=0g odd=123 e= m=-1 f=1.5 o=18446744073709551616");
    for (const char* key : {"n", "e", "m", "f", "o"}) {
        test::expect_error(
            ErrorCode::protocol_violation, [&] { return message.number(key); }, key);
    }
    for (const char* key : {"t", "odd", "n"}) {
        test::expect_error(
            ErrorCode::protocol_violation, [&] { return message.text(key); }, key);
    }
}

TEST(Message, LinesThatAreNoMessages) {
    for (const char* line :
         {"", " ", " verb", "Verb", "verb1", "verb a", "verb =1", "verb a =1", "verb A=1",
          "verb a=1  b=2", "verb a=b=c", "verb a=\"x\"", "verb a=\xFF", "verb a=x\ty", "verb a=x\r",
          "verb\ta=1", "verb a=%41"}) {
        test::expect_error(
            ErrorCode::protocol_violation, [&] { return Message::parse(line); }, line);
    }
}

TEST(Message, ErrorsCarryAllTheirTexts) {
    const Message message =
        message_of("error", Error(ErrorCode::unavailable, "m\n", "d \"x\"", "h"));
    EXPECT_EQ(message.token("sqlstate"), "08006");
    EXPECT_EQ(message.number("retryable"), 1U);
    EXPECT_EQ(message.text("message"), "m\n");
    EXPECT_EQ(message.text("detail"), "d \"x\"");
    EXPECT_EQ(message.text("hint"), "h");
}

}  // namespace
}  // namespace ark
