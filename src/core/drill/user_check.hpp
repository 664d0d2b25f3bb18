#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ark {

/// A question of the user's own to the restored copy: docs/restore-tests.md "Your own checks".
struct UserCheck {
    enum class Kind { integrity, critical };
    Kind kind = Kind::integrity;
    std::string name;
    std::string category = "custom";
    std::string severity = "error";  ///< info, warning, error, critical
    uint64_t threshold = 0;          ///< rows of violations that are tolerated
    std::string database = "postgres";
    std::string sql;  ///< one query; of an integrity check its rows are the violations
    std::optional<std::string> expected = {};   ///< of a critical one: its only value, as text
    std::optional<std::string> predicate = {};  ///< …or what has to be true of each of its rows
    uint64_t timeout_ms = 60000;
    /// The kind of a ready-made check; empty: somebody wrote it, or it was made. Of a ready-made
    /// one the rows of `sql` are the checks that it makes of the copy's catalogs.
    std::string ready_made = {};
    bool without_indexes = false;  ///< what is checked is whether an index is right
    std::string object = {};       ///< of one that was made: what it is about
    std::string table = {};        ///< …and where, with its schema; empty: of none

    /// Whether it counts against the backup where it fails.
    bool is_grave() const { return severity == "error" || severity == "critical"; }
};

/// Reads a file of checks: each begins with "-- name: …", further headers follow in lines of their
/// own, then the query up to the next name. Error: invalid_argument, with the line.
std::vector<UserCheck> parse_check_file(const std::string& text);

/// "30s", "500ms", "2min", "1h", or a number of milliseconds. nullopt for anything else, and 0.
std::optional<uint64_t> parse_check_timeout(const std::string& text);

}  // namespace ark
