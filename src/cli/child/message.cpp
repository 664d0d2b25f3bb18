#include "cli/child/message.hpp"

#include <algorithm>
#include <charconv>

#include "core/base/bytes.hpp"

namespace ark {

namespace {

Error violation(const std::string& what) {
    return {ErrorCode::protocol_violation, "invalid message from the server module", what + ".",
            "Do the versions of the server module and the executable fit? See ark.preflight()."};
}

bool is_word(std::string_view text) {
    return !text.empty() &&
           std::ranges::all_of(text, [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}

bool is_value(std::string_view text) {
    return std::ranges::all_of(text, [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               std::string_view("_./:+-").find(c) != std::string_view::npos;
    });
}

std::string_view take_word(std::string_view& line) {
    const size_t space = line.find(' ');
    const std::string_view word = line.substr(0, space);
    line = space == std::string_view::npos ? std::string_view{} : line.substr(space + 1);
    return word;
}

}  // namespace

Message Message::parse(std::string_view line) {
    const std::string_view verb = take_word(line);
    if (!is_word(verb))
        throw violation("It has no verb");
    Message out{std::string(verb)};
    while (!line.empty()) {
        const std::string_view pair = take_word(line);
        const size_t equals = pair.find('=');
        if (equals == std::string_view::npos || !is_word(pair.substr(0, equals)) ||
            !is_value(pair.substr(equals + 1))) {
            throw violation("\"" + out.verb_ + "\" has something that is no key=value pair");
        }
        out.pairs_.emplace_back(pair.substr(0, equals), pair.substr(equals + 1));
    }
    return out;
}

std::string Message::format() const {
    std::string line = verb_;
    for (const auto& [key, value] : pairs_)
        line += " " + key + "=" + value;
    return line + "\n";
}

const std::string* Message::find(const std::string& key) const {
    for (const auto& [name, value] : pairs_) {
        if (name == key)
            return &value;
    }
    return nullptr;
}

const std::string& Message::value(const std::string& key) const {
    const std::string* found = find(key);
    if (found == nullptr)
        throw violation("\"" + verb_ + "\" lacks the key \"" + key + "\"");
    return *found;
}

std::string Message::token(const std::string& key) const {
    return value(key);
}

std::string Message::text(const std::string& key) const {
    try {
        return text_from_hex(value(key));
    } catch (const Error& error) {
        if (error.code != ErrorCode::invalid_argument)
            throw;
        throw violation("the key \"" + key + "\" of \"" + verb_ + "\" is not hexadecimal");
    }
}

uint64_t Message::number(const std::string& key) const {
    const std::string& text = value(key);
    uint64_t out = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), out);
    if (text.empty() || result.ec != std::errc{} || result.ptr != text.data() + text.size()) {
        throw violation("the key \"" + key + "\" of \"" + verb_ + "\" is not a number");
    }
    return out;
}

std::string Message::token_or(const std::string& key, const std::string& missing) const {
    return has(key) ? token(key) : missing;
}
std::string Message::text_or(const std::string& key, const std::string& missing) const {
    return has(key) ? text(key) : missing;
}
uint64_t Message::number_or(const std::string& key, uint64_t missing) const {
    return has(key) ? number(key) : missing;
}

Message& Message::add_token(const std::string& key, std::string_view value) {
    pairs_.emplace_back(key, value);
    return *this;
}
Message& Message::add_text(const std::string& key, std::string_view value) {
    return add_token(key, to_hex(value));
}
Message& Message::add_number(const std::string& key, uint64_t value) {
    return add_token(key, std::to_string(value));
}

Message message_of(const std::string& verb, const Error& error) {
    Message out(verb);
    out.add_token("code", name_of(error.code))
        .add_token("sqlstate", sqlstate_of(error.code))
        .add_number("retryable", error.retryable ? 1 : 0)
        .add_text("message", error.message)
        .add_text("detail", error.detail)
        .add_text("hint", error.hint);
    return out;
}

}  // namespace ark
