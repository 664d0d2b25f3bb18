#include "core/pgdata/access_text.hpp"

#include <algorithm>
#include <array>

namespace ark {

namespace {

constexpr std::string_view kBlanks = " \t\r\n";

void skip_blanks(std::string_view& text) {
    text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
}

// next_token: quotes keep blanks, commas and # together, "" in them is a quote.
std::string take_word(std::string_view& text) {
    skip_blanks(text);
    std::string out;
    bool quoted = false;
    bool was_quote = false;
    for (; !text.empty(); text.remove_prefix(1)) {
        const char c = text.front();
        if (!quoted && (kBlanks.find(c) != std::string_view::npos || c == ',' || c == '#'))
            break;
        if (c != '"' || was_quote)
            out += c;
        was_quote = quoted && c == '"' && !was_quote;
        if (c == '"')
            quoted = !quoted;
    }
    return out;
}

bool is_include(std::string_view word) {
    constexpr std::array<std::string_view, 3> kKinds{"include", "include_if_exists", "include_dir"};
    return std::ranges::find(kKinds, word) != kKinds.end();
}

}  // namespace

std::optional<AccessInclude> parse_access_include(std::string_view line) {
    AccessInclude out;
    out.kind = take_word(line);
    if (!is_include(out.kind))
        return std::nullopt;
    out.target = take_word(line);
    skip_blanks(line);
    const bool ends = line.empty() || line.front() == '#';
    return ends && !out.target.empty() ? std::optional(out) : std::nullopt;
}

std::string quote_access_word(std::string_view value) {
    std::string out = "\"";
    for (const char c : value)
        out += c == '"' ? "\"\"" : std::string(1, c);
    return out + "\"";
}

}  // namespace ark
