#pragma once
/// Has a query run by a check worker, and waits for what comes of it.
#include "server/shared.hpp"

extern "C" {
#include "nodes/pg_list.h"
}

namespace ark {

struct CheckQuery {
    const char* database;
    const char* role;
    Oid owner;        ///< as CheckOrder's
    const char* sql;  ///< UTF-8
    int timeout_ms;
    bool without_indexes;
    int rows;       ///< so many are kept
    int row_bytes;  ///< of a longer one a part; 0: all
    uint64 bound;   ///< so many are counted
};

/// Text is UTF-8, as it came: nobody has looked at it.
struct CheckOutcome {
    List* rows;    ///< of char*, JSON
    uint64 count;  ///< of all rows
    bool more;     ///< than that
    int sqlstate;  ///< 0: it ran to its end
    const char *message, *detail, *hint;
};

/// Outside of a transaction. The outcome is palloc'd in the current context. Throws where this
/// process is cancelled or ends (the worker is then ended too), never for what the query does.
CheckOutcome run_check_query(const CheckQuery& query);

}  // namespace ark
