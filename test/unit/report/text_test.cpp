#include "core/report/text.hpp"

#include <gtest/gtest.h>

namespace ark {
namespace {

TEST(ReportText, EscapesMarkup) {
    EXPECT_EQ(html("<a href=\"x\" title='y'>&"),
              "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;");
    EXPECT_EQ(html("</script><script>alert(1)</script>"),
              "&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;");
    EXPECT_EQ(html(""), "");
}

TEST(ReportText, KeepsWhatPeopleWrite) {
    EXPECT_EQ(html("Größe, 表, 😀\n\tx"), "Größe, 表, 😀\n\tx");
}

TEST(ReportText, SpellsOutWhatMisleads) {
    EXPECT_EQ(html(std::string("a\0b", 3)), "a\\x00b");
    EXPECT_EQ(html("\x1b[31m\r"), "\\x1B[31m\\x0D");
    EXPECT_EQ(html("x\xE2\x80\xAEgnp.exe"), "x\\u{202E}gnp.exe");       // right to left
    EXPECT_EQ(html("\xE2\x80\x8B\xEF\xBB\xBF"), "\\u{200B}\\u{FEFF}");  // of no width
    EXPECT_EQ(html("\xC2\x85"), "\\u{85}");
}

TEST(ReportText, SpellsOutWhatIsNoText) {
    EXPECT_EQ(html("base/5/\xff"), "base/5/\\xFF");
    EXPECT_EQ(html("\xC0\xBCscript"), "\\xC0\\xBCscript");  // an overlong <
    EXPECT_EQ(html("\xE0\x80\xBC"), "\\xE0\\x80\\xBC");
    EXPECT_EQ(html("\xED\xA0\x80"), "\\xED\\xA0\\x80");
    EXPECT_EQ(html("\xF5\x80\x80\x80"), "\\xF5\\x80\\x80\\x80");
    EXPECT_EQ(html("ab\xE2\x82"), "ab\\xE2\\x82");  // cut off
}

TEST(ReportText, ReadsAnyValue) {
    EXPECT_EQ(text_of("x"), "x");
    EXPECT_EQ(text_of(nullptr), "");
    EXPECT_EQ(text_of({{"hex", "ff41"}}), "\xff\x41");
    EXPECT_EQ(text_of({{"hex", "f"}}), "{\"hex\":\"f\"}");
    EXPECT_EQ(text_of(12), "12");
    EXPECT_EQ(text_of({1, "a"}), "[1,\"a\"]");
    EXPECT_TRUE(at(nlohmann::json("x"), "y").is_null());
    EXPECT_FALSE(number_at({{"y", "1"}}, "y"));
    EXPECT_FALSE(number_at({{"y", -1}}, "y"));
    EXPECT_EQ(number_at({{"y", 1.5}}, "y"), 1.5);
    EXPECT_FALSE(time_at({{"y", 5}}, "y"));
    EXPECT_FALSE(time_at({{"y", "now"}}, "y"));
}

TEST(ReportText, WritesDurations) {
    EXPECT_EQ(duration_text(0), "0 ms");
    EXPECT_EQ(duration_text(0.0421), "42 ms");
    EXPECT_EQ(duration_text(0.9999), "1.0 s");
    EXPECT_EQ(duration_text(59.94), "59.9 s");
    EXPECT_EQ(duration_text(59.96), "1 min");
    EXPECT_EQ(duration_text(252), "4 min 12 s");
    EXPECT_EQ(duration_text(3599.7), "1 h");
    EXPECT_EQ(duration_text(3720), "1 h 02 min");
    EXPECT_EQ(duration_text(86400 * 3 + 3600 * 4), "3 d 4 h");
}

TEST(ReportText, WritesNumbersAndTimes) {
    EXPECT_EQ(count_text(0), "0");
    EXPECT_EQ(count_text(999), "999");
    EXPECT_EQ(count_text(1234567), "1,234,567");
    const UnixMicros time = *parse_time("2026-11-20T02:15:00Z", false);
    EXPECT_EQ(time_text(time), "2026-11-20 02:15:00 UTC");
    EXPECT_EQ(day_text(time), "20 Nov 2026");
    EXPECT_EQ(time_text(0), "");
}

}  // namespace
}  // namespace ark
