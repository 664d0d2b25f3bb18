#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ark {

// pg_hba.conf and pg_ident.conf as text, by the rules of src/backend/libpq/hba.c. Pure.

/// A line that includes others (since PostgreSQL 16; before, it is an error there).
struct AccessInclude {
    std::string kind;    ///< include, include_if_exists or include_dir
    std::string target;  ///< as it is written, without quotes
};
/// nullopt for any other line.
std::optional<AccessInclude> parse_access_include(std::string_view line);

/// "value", as one word of such a line.
std::string quote_access_word(std::string_view value);

}  // namespace ark
