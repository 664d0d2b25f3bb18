#include "core/base/bytes.hpp"

#include <limits>

#include <nlohmann/json.hpp>

#include "test/support/expect_error.hpp"

namespace ark {
namespace {

TEST(Bytes, HexRoundTripsEveryByte) {
    std::string all;
    for (int i = 0; i < 256; ++i)
        all.push_back(static_cast<char>(i));
    const std::string hex = to_hex(all);
    EXPECT_EQ(hex.substr(0, 8), "00010203");
    EXPECT_EQ(hex.substr(508), "feff");
    EXPECT_EQ(text_from_hex(hex), all);
    EXPECT_EQ(text_from_hex("C3a9"), "\xC3\xA9");
    EXPECT_EQ(text_from_hex(""), "");
}

TEST(Bytes, HexRefusesWhatIsNotHex) {
    for (const char* text : {"0", "abc", "0g", "g0", "0x", " 0", "0 ", "-1", "\xC3\xA9"}) {
        test::expect_error(
            ErrorCode::invalid_argument, [&] { return from_hex(text); }, text);
    }
}

TEST(Bytes, AllZeroLooksAtEveryByte) {
    EXPECT_TRUE(is_all_zero({}));
    for (const size_t size : {1, 2, 7, 8, 9, 64, 8192}) {
        Bytes bytes(size);
        EXPECT_TRUE(is_all_zero(bytes));
        for (size_t i = 0; i<size; i += size> 100 ? 101 : 1) {
            bytes[i] = std::byte{1};
            EXPECT_FALSE(is_all_zero(bytes)) << size << " " << i;
            bytes[i] = std::byte{0};
        }
        bytes[size - 1] = std::byte{0x80};
        EXPECT_FALSE(is_all_zero(bytes)) << size;
    }
}

TEST(Bytes, Utf8ExamplesOfTheStandard) {
    for (const char* good : {"", "a", "\x7F", "\n", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80",
                             "\xED\x9F\xBF", "\xEE\x80\x80", "\xEF\xBF\xBF", "\xF0\x90\x80\x80",
                             "\xF4\x8F\xBF\xBF", "plain \xE2\x82\xAC sign"}) {
        EXPECT_TRUE(is_utf8(good)) << good;
    }
    for (const char* bad :
         {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2 ", "\xE0\x9F\xBF", "\xE2\x82",
          "\xED\xA0\x80", "\xED\xBF\xBF", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80",
          "\xF5\x80\x80\x80", "\xFE", "\xFF", "a\xC3", "\xF0\x9F\x98"}) {
        EXPECT_FALSE(is_utf8(bad)) << to_hex(std::string_view(bad));
    }
    EXPECT_FALSE(is_utf8(std::string_view("a\0b", 3)));
}

// What is_utf8 lets through goes into JSON: the library must agree, or writing a marker throws.
TEST(Bytes, Utf8AgreesWithTheJsonLibraryOnAllShortTexts) {
    const auto library_takes = [](const std::string& text) {
        try {
            static_cast<void>(nlohmann::json(text).dump());
            return true;
        } catch (const nlohmann::json::exception&) {
            return false;
        }
    };
    // Each lead byte with each second byte, completed to its length.
    for (int first = 1; first < 256; ++first) {
        for (int second = 1; second < 256; ++second) {
            std::string text{static_cast<char>(first), static_cast<char>(second)};
            for (int more = 0; more < 3; ++more) {
                ASSERT_EQ(is_utf8(text), library_takes(text)) << to_hex(text);
                text += '\x80';
            }
        }
    }
}

TEST(Bytes, HumanBytesSwitchesUnits) {
    EXPECT_EQ(human_bytes(0), "0 B");
    EXPECT_EQ(human_bytes(999), "999 B");
    EXPECT_EQ(human_bytes(1000), "1.0 kB");
    EXPECT_EQ(human_bytes(12'345'678'901ULL), "12.3 GB");
    EXPECT_EQ(human_bytes(std::numeric_limits<uint64_t>::max()), "18446.7 PB");
}

}  // namespace
}  // namespace ark
