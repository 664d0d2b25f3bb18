#pragma once
/// The checks that need no writing. Each kind is a query that makes checks of what the catalogs of
/// a database have when it runs: a new table is covered without doing anything.
#include "server/pg_version.hpp"

namespace ark {

struct ReadyMade {
    const char* kind;
    const char* category;
    const char* severity;
    const char* description;
    bool without_indexes;  ///< what it checks is whether an index is right
    bool in_drills;        ///< a restored copy has what it looks at
    /// After WITH clauses that give `options` (o jsonb) and `tables`; yields object, sql, tables,
    /// skip (why it cannot be checked, else null), and, where it needs to know, locked.
    const char* query;
    bool runs_as_owner = false;  ///< it may run code that its tables' owner wrote
};

inline constexpr int kReadyMadeCount = 12;
extern const ReadyMade kReadyMade[kReadyMadeCount];

/// NULL: there is none of that name.
const ReadyMade* find_ready_made(const char* kind);
/// The query that makes its checks, with options (a JSON object) in it; palloc'd.
char* ready_made_query(const ReadyMade& ready_made, const char* options);
/// An SQL expression: the age from which `wraparound` counts by itself, by this server's settings.
/// A copy has others.
extern const char kWraparoundBound[];
/// "a, b and c", for hints; palloc'd.
char* ready_made_kinds();

}  // namespace ark
