#include "core/pgdata/config_text.hpp"

#include <cctype>

namespace ark {

namespace {

bool is_name_start(char c) {
    return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_' ||
           (static_cast<unsigned char>(c) & 0x80) != 0;
}
bool is_name_character(char c) {
    return is_name_start(c) || std::isdigit(static_cast<unsigned char>(c)) != 0 || c == '$' ||
           c == '.';
}
bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

class LineCursor {
 public:
    explicit LineCursor(std::string_view text) : text_(text) {}

    void skip_spaces() {
        while (at_ < text_.size() && is_space(text_[at_]))
            ++at_;
    }
    bool take(char c) {
        if (at_ >= text_.size() || text_[at_] != c)
            return false;
        ++at_;
        return true;
    }
    bool at_end() const { return at_ >= text_.size() || text_[at_] == '#'; }

    std::string name() {
        std::string out;
        if (at_ >= text_.size() || !is_name_start(text_[at_]))
            return out;
        while (at_ < text_.size() && is_name_character(text_[at_])) {
            out.push_back(
                static_cast<char>(std::tolower(static_cast<unsigned char>(text_[at_++]))));
        }
        return out;
    }
    std::optional<std::string> value() {
        if (take('\''))
            return quoted();
        std::string out;
        while (!at_end() && !is_space(text_[at_]))
            out.push_back(text_[at_++]);
        return out;
    }

 private:
    // After the opening quote; nullopt without a closing one.
    std::optional<std::string> quoted() {
        std::string out;
        while (at_ < text_.size()) {
            const char c = text_[at_++];
            if (c == '\'') {
                if (!take('\''))
                    return out;
                out.push_back('\'');
            } else if (c == '\\' && at_ < text_.size()) {
                out.push_back(escaped());
            } else {
                out.push_back(c);
            }
        }
        return std::nullopt;
    }
    char escaped() {
        const char c = text_[at_++];
        switch (c) {
            case 'b':
                return '\b';
            case 'f':
                return '\f';
            case 'n':
                return '\n';
            case 'r':
                return '\r';
            case 't':
                return '\t';
            default:
                break;
        }
        if (c < '0' || c > '7')
            return c;
        int value = c - '0';
        for (int i = 0; i < 2 && at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '7';
             ++i) {
            value = value * 8 + (text_[at_++] - '0');
        }
        return static_cast<char>(value);
    }

    std::string_view text_;
    size_t at_ = 0;
};

}  // namespace

std::optional<ConfigLine> parse_config_line(std::string_view line) {
    LineCursor cursor(line);
    cursor.skip_spaces();
    ConfigLine out;
    out.name = cursor.name();
    if (out.name.empty())
        return std::nullopt;
    cursor.skip_spaces();
    cursor.take('=');
    cursor.skip_spaces();
    if (cursor.at_end())
        return std::nullopt;
    const auto value = cursor.value();
    if (!value)
        return std::nullopt;
    out.value = *value;
    return out;
}

std::string quote_config_value(std::string_view value) {
    std::string out = "'";
    for (const char c : value) {
        if (c == '\n') {
            out += "\\n";
            continue;
        }
        if (c == '\'')
            out += '\'';
        if (c == '\\')
            out += '\\';
        out += c;
    }
    return out + "'";
}

std::string edit_lines(
    std::string_view content,
    const std::function<std::optional<std::string>(std::string_view line)>& edit) {
    std::string out;
    out.reserve(content.size());
    while (!content.empty()) {
        const size_t newline = content.find('\n');
        const std::string_view line = content.substr(0, newline);
        const auto replacement = edit(line);
        out += replacement ? *replacement : std::string(line);
        if (newline == std::string_view::npos)
            break;
        out += '\n';
        content.remove_prefix(newline + 1);
    }
    return out;
}

std::string edit_config(std::string_view content,
                        const std::function<std::optional<std::string>(
                            const ConfigLine& parsed, std::string_view line)>& edit) {
    return edit_lines(content, [&](std::string_view line) -> std::optional<std::string> {
        const auto parsed = parse_config_line(line);
        return parsed ? edit(*parsed, line) : std::nullopt;
    });
}

std::string commented_out(std::string_view line, std::string_view why) {
    while (!line.empty() && is_space(line.back()))
        line.remove_suffix(1);
    return "#" + std::string(line) + "  # commented out by pg_ark restore: " + std::string(why);
}

std::string quote_shell_word(std::string_view word) {
    std::string out = "'";
    for (const char c : word) {
        if (c == '\'') {
            out += "'\\''";
        } else {
            out += c;
        }
    }
    return out + "'";
}

std::string shell_word(const std::string& word) {
    constexpr std::string_view kPlain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+:,./-=";
    const bool plain = !word.empty() && word.find_first_not_of(kPlain) == std::string::npos;
    return plain ? word : quote_shell_word(word);
}

}  // namespace ark
