#pragma once
/// What has to hold before a backup can be taken. Each check stands alone, so that preflight can
/// show all of them and a refused backup names the first.
#include "server/pg_version.hpp"

namespace ark {

/// Strings are palloc'd or static; message NULL: all is well, and `detail` says what was found.
struct Problem {
    int sqlstate;
    const char* message;
    const char* detail;
    const char* hint;
};

struct Precondition {
    const char* name;  ///< as in ark.preflight()
    Problem (*check)();
};

/// In the order in which they matter. Cheap; no catalog but the name of the current database.
extern const Precondition kPreconditions[];
extern const int kPreconditionCount;

/// Whether the server's archiver hands its WAL to pg_ark. Looks at settings alone; any process.
bool archives_with_pg_ark();

/// Throws the first that does not hold; `adopting`: being a clone is no problem.
void require_preconditions(bool adopting);
/// Throws where the library was not preloaded, or this is not the database of pg_ark.
void require_loaded_here();

}  // namespace ark
