#pragma once
/// What a run of integrity checks has to do. Every function runs inside begin_sql/commit_sql; what
/// it returns is in `context`.
#include "server/check_client.hpp"
#include "server/ready_made.hpp"

namespace ark {

/// One row of ark.integrity_checks, or one check that a ready-made one has made.
struct IntegrityCheck {
    const char* name;
    const char* category;
    const char* severity;
    const char* object;  ///< NULL: of a check that somebody wrote
    const char* database;
    const char* sql;               ///< NULL: a ready-made one, to be made
    const ReadyMade* ready_made;   ///< NULL: somebody wrote it
    const char* options;           ///< of a ready-made one
    const char* unreachable;       ///< why its database takes no connection of the role; else NULL
    const char* unreachable_hint;  ///< and what to do
    const char* skip;              ///< why it cannot be run; else NULL
    Oid owner;                     ///< of all of its tables, where it runs as him; or invalid
    bool locked;                   ///< its table was, when the check was to be made
    uint64 threshold;
    int timeout_ms;
};

/// Throws where the role of checks does not exist, or may do more than read.
void require_check_role(const char* role);
/// List of IntegrityCheck*, worst severity first.
List* load_checks(const JobRequest& request, const char* role, MemoryContext context);
/// Those that a ready-made one makes, from the JSON rows of its query.
List* made_checks(const IntegrityCheck& from, const List* rows, MemoryContext context);

/// Text of a check worker as the server's own, in the current context. Throws where it is none.
char* from_utf8(const char* text);
/// A JSON array of JSON texts of a check worker.
char* json_array(const List* texts);

}  // namespace ark
