#pragma once
#include "server/pg_version.hpp"

namespace ark {

/// The text of one query, without what comes after it: `sql` parsed, and no more. Throws with what
/// is wrong with it and what to do: ERRCODE_SYNTAX_ERROR where it does not parse (with the place in
/// it) or is not one statement, ERRCODE_FEATURE_NOT_SUPPORTED where it is no query, or one that
/// writes or locks. What it names need not exist.
char* one_query(const char* sql);

}  // namespace ark
