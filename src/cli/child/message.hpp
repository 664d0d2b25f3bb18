#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/error.hpp"

namespace ark {

/// One message of docs/child-protocol.md: a verb and key=value pairs. Getters are named after the
/// form that the document gives a key.
class Message {
 public:
    explicit Message(std::string verb) : verb_(std::move(verb)) {}

    /// Reads a line without its newline. Error: protocol_violation.
    static Message parse(std::string_view line);
    /// The line, with its newline.
    std::string format() const;

    const std::string& verb() const { return verb_; }
    bool has(const std::string& key) const { return find(key) != nullptr; }

    /// Error: protocol_violation where the key is missing or has another form.
    std::string token(const std::string& key) const;
    std::string text(const std::string& key) const;
    uint64_t number(const std::string& key) const;
    /// The same with a value for a key that is missing.
    std::string token_or(const std::string& key, const std::string& missing) const;
    std::string text_or(const std::string& key, const std::string& missing) const;
    uint64_t number_or(const std::string& key, uint64_t missing) const;

    Message& add_token(const std::string& key, std::string_view value);
    Message& add_text(const std::string& key, std::string_view value);
    Message& add_number(const std::string& key, uint64_t value);

 private:
    const std::string* find(const std::string& key) const;
    const std::string& value(const std::string& key) const;

    std::string verb_;
    std::vector<std::pair<std::string, std::string>> pairs_;
};

/// `error` or `warning` with the keys of the document.
Message message_of(const std::string& verb, const Error& error);

}  // namespace ark
