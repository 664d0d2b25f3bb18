#pragma once
#include "server/pg_version.hpp"

namespace ark {

/// What is wrong with a repository URL. `message` NULL: nothing. Strings are palloc'd or static.
struct UrlProblem {
    const char* message;
    const char* detail;
    const char* hint;
};

/// Checks the form of pg_ark.repositories. An empty value is right (nothing is archived). Looks at
/// no file.
UrlProblem check_repository_url(const char* value);

/// Checks what has to hold before the repository is used: set, and not inside the data directory or
/// a tablespace. Looks at no catalog and never at the repository itself, which may hang.
UrlProblem check_repository_place();

}  // namespace ark
