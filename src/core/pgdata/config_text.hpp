#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace ark {

// postgresql.conf as text, by the rules of src/backend/utils/misc/guc-file.l: one setting a line,
// values bare or in single quotes, with '' and backslash escapes. All pure.

/// A line that sets something or includes something.
struct ConfigLine {
    std::string name;   ///< in lower case
    std::string value;  ///< without quotes and escapes
};
/// nullopt for blank lines, comments, and what the server would not parse.
std::optional<ConfigLine> parse_config_line(std::string_view line);

/// 'value' with what needs it escaped.
std::string quote_config_value(std::string_view value);

/// Goes through the lines; where `edit` gives text, that takes the line's place (without its
/// newline).
std::string edit_lines(
    std::string_view content,
    const std::function<std::optional<std::string>(std::string_view line)>& edit);
/// The same for the lines that set or include something.
std::string edit_config(std::string_view content,
                        const std::function<std::optional<std::string>(
                            const ConfigLine& parsed, std::string_view line)>& edit);

/// The line as a comment that says why.
std::string commented_out(std::string_view line, std::string_view why);

/// One word for the shell that runs restore_command.
std::string quote_shell_word(std::string_view word);
/// The same for people to read and paste: without quotes where the shell needs none.
std::string shell_word(const std::string& word);

}  // namespace ark
