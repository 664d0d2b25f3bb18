#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/drill/task_pool.hpp"
#include "core/drill/user_check.hpp"

namespace ark {

/// Where the users' checks are run, and what they leave.
struct UserCheckContext {
    SessionTarget reader;  ///< a role without any right to write
    int jobs = 2;
    Findings* findings = nullptr;
    std::vector<std::string>* notes = nullptr;
    nlohmann::json* results = nullptr;  ///< an array; one object for each check
};

/// The checks that a ready-made one has made: of rows of one JSON object each, with object, sql,
/// tables, skip and locked. Those that cannot be asked have a reason.
struct MadeCheck {
    UserCheck check;
    std::string skip;     ///< why it cannot be checked; empty: it can
    bool locked = false;  ///< its table was, when it was to be made
};
/// nullopt where one is no such object.
std::optional<std::vector<MadeCheck>> made_checks(const UserCheck& from,
                                                  const std::vector<SqlRow>& rows);

/// Puts each check's query to the copy, in the order given, `jobs` at a time: in a session and a
/// transaction of its own that may read and nothing else, with its timeout, and as the only
/// statement. What a grave one finds, or that it could not be run, is a finding. False when the
/// server is lost for good: what was not asked then is "skipped". A ready-made check makes others
/// of what the copy's catalogs say, which take its place.
///
/// What shows data is in the results' samples and errors, and in findings' details and hints, and
/// nowhere else: not in messages, nor in notes.
bool run_user_checks(UserCheckContext& context, TaskPool& pool, Watch& watch,
                     const std::vector<UserCheck>& checks);

/// For those that cannot be run at all.
void skip_user_checks(UserCheckContext& context, const std::vector<UserCheck>& checks,
                      const std::string& why);

/// The statement that opens the cursor "ark_check" over the check's answer. Nothing but one query
/// can be put that way.
std::string declare_statement(const UserCheck& check);

/// A row as an object: numbers and booleans as such, all else as text of at most 300 bytes.
nlohmann::json json_of_row(const std::vector<SqlColumn>& columns, const SqlRow& row);

/// Whether a critical function's answer is what was expected: nullopt, or what is wrong with it.
/// `rows`: of the predicate where there is one.
std::optional<std::string> why_not_expected(const UserCheck& check,
                                            const std::vector<SqlRow>& rows);

}  // namespace ark
