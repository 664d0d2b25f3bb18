#include "core/pgdata/access_text.hpp"

#include <gtest/gtest.h>

namespace ark {
namespace {

std::string parsed(const char* line) {
    const auto include = parse_access_include(line);
    return include ? include->kind + ":" + include->target : "(none)";
}

TEST(AccessInclude, AreTakenApartAsTheServerDoes) {
    const std::pair<const char*, const char*> table[] = {
        {"include hba.d/a.conf", "include:hba.d/a.conf"},
        {"\tinclude_dir  \"/etc/a b,#\" # why", "include_dir:/etc/a b,#"},
        {"include_if_exists \"a \"\"b\"\" c\"\r", "include_if_exists:a \"b\" c"},
        {"\"include\" a", "include:a"},
        {"include a b", "(none)"},
        {"include a,b", "(none)"},
        {"include", "(none)"},
        {"include \"\"", "(none)"},
        {"# include a", "(none)"},
        {"includes a", "(none)"},
        {"local all all trust", "(none)"},
        {"", "(none)"},
    };
    for (const auto& [line, expected] : table)
        EXPECT_EQ(parsed(line), expected) << line;
}

TEST(AccessInclude, QuotedAndReadBack) {
    for (const char* value : {"a", "a b", "a\"b", "\"\"", "@a,#b\\"}) {
        EXPECT_EQ(parsed(("include " + quote_access_word(value) + "  # x").c_str()),
                  std::string("include:") + value);
    }
}

}  // namespace
}  // namespace ark
