#include "core/pgdata/config_text.hpp"

#include <stdlib.h>

#include <array>
#include <cstdio>
#include <memory>

#include <gtest/gtest.h>

namespace ark {
namespace {

struct Row {
    const char* line;
    const char* name;
    const char* value;
};

TEST(ConfigLine, Parsed) {
    const Row table[] = {
        {"port = 5432", "port", "5432"},
        {"port 5432", "port", "5432"},
        {"  Port\t=\t5432 # comment", "port", "5432"},
        {"port=5432#comment", "port", "5432"},
        {"listen_addresses = ''", "listen_addresses", ""},
        {"name = 'it''s'", "name", "it's"},
        {"name = 'a\\'b\\\\c\\n\\101'", "name", "a'b\\c\nA"},
        {"name = 'a # b'  # c", "name", "a # b"},
        {"include 'conf.d/x.conf'", "include", "conf.d/x.conf"},
        {"include_dir = /etc/x", "include_dir", "/etc/x"},
        {"pg_ark.repositories = 'file:///srv'\r", "pg_ark.repositories", "file:///srv"},
    };
    for (const Row& row : table) {
        const auto parsed = parse_config_line(row.line);
        ASSERT_TRUE(parsed) << row.line;
        EXPECT_EQ(parsed->name, row.name) << row.line;
        EXPECT_EQ(parsed->value, row.value) << row.line;
    }
}

TEST(ConfigLine, NothingSet) {
    for (const char* line : {"", "   ", "# port = 1", "port", "port =", "port = # 1", "= 5",
                             "5 = x", "name = 'open"}) {
        EXPECT_FALSE(parse_config_line(line)) << line;
    }
}

TEST(ConfigValue, QuotedAndReadBack) {
    for (const char* value : {"", "plain", "it's", "a\\b", "a\nb", "'", "''\\'", "%f \"%p\""}) {
        const auto parsed = parse_config_line("x = " + quote_config_value(value));
        ASSERT_TRUE(parsed) << value;
        EXPECT_EQ(parsed->value, value);
    }
}

TEST(EditConfig, OtherBytesStay) {
    const std::string text = "# head\n\na = 1\r\nb = 2\nc = 3";
    const auto same = [](const ConfigLine&, std::string_view) {
        return std::optional<std::string>();
    };
    EXPECT_EQ(edit_config(text, same), text);
    EXPECT_EQ(edit_config(text + "\n", same), text + "\n");
    EXPECT_EQ(edit_config("", same), "");
    const std::string edited = edit_config(
        text, [](const ConfigLine& parsed, std::string_view line) -> std::optional<std::string> {
            if (parsed.name != "b")
                return std::nullopt;
            return commented_out(line, "a reason");
        });
    EXPECT_EQ(edited,
              "# head\n\na = 1\r\n#b = 2  # commented out by pg_ark restore: a reason\nc = 3");
}

std::string shell(const std::string& command) {
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
    std::array<char, 4096> buffer{};
    const size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe.get());
    return {buffer.data(), n};
}

// The shell is the judge.
TEST(ShellWord, AsTheShellReadsIt) {
    for (const char* word : {"", "plain", "a b", "it's", "$(date)", "`x`", "a\"b", "a\\b", "*",
                             "a\nb", "'", "-n;&|<>"}) {
        EXPECT_EQ(shell("printf %s " + quote_shell_word(word)), word);
        EXPECT_EQ(shell("printf %s " + shell_word(word)), word);
    }
}

TEST(ShellWord, QuotesOnlyWhereTheyAreNeeded) {
    EXPECT_EQ(shell_word("/var/lib/postgresql/15/main"), "/var/lib/postgresql/15/main");
    EXPECT_EQ(shell_word("/my data"), "'/my data'");
    EXPECT_EQ(shell_word("~x"), "'~x'");
    EXPECT_EQ(shell_word(""), "''");
}

}  // namespace
}  // namespace ark
