#include "server/sweep_tests.hpp"

#include "server/integrity_rows.hpp"
#include "server/jobs.hpp"
#include "server/sql_call.hpp"
#include "server/test_rows.hpp"
#include "server/worker.hpp"

extern "C" {
#include "nodes/pg_list.h"
}

namespace ark {
namespace {

List* ids_of(MemoryContext context, const char* query) {
    begin_sql("pg_ark sweep: tests");
    const uint64 rows = sql(query);
    MemoryContext old = MemoryContextSwitchTo(context);
    List* ids = NIL;
    for (uint64 i = 0; i < rows; i++)
        ids = lappend(ids, MemoryContextStrdup(context, result(i, 1)));
    MemoryContextSwitchTo(old);
    commit_sql();
    return ids;
}

void end_all(JobKind kind, const char* query) {
    constexpr TestFailure kKilled = {
        ERRCODE_CRASH_SHUTDOWN, "the server or the worker ended before the test was complete",
        nullptr, "Start it again; the server's log tells what happened.", nullptr};
    ListCell* cell;
    foreach (cell, ids_of(CurrentMemoryContext, query)) {
        const char* id = static_cast<const char*>(lfirst(cell));
        if (job_of_test(id).found)
            continue;
        begin_sql("pg_ark sweep: end of a test");
        const bool written =
            kind == JobKind::kIntegrity
                ? fail_integrity_run(id, kKilled.sqlstate, kKilled.message, kKilled.hint)
                : fail_test_row(kind, id, kKilled);
        commit_sql();
        if (written)
            ereport(LOG, (errmsg("test \"%s\" did not end: its row says so now", id)));
    }
}

}  // namespace

void end_orphaned_tests() {
    end_all(JobKind::kRestoreTest, kOpenTests);
    end_all(JobKind::kVerification, kOpenVerifications);
    end_all(JobKind::kIntegrity, kOpenIntegrityRuns);
    begin_sql("pg_ark sweep: integrity results");
    expire_integrity_results();
    commit_sql();
}

}  // namespace ark
