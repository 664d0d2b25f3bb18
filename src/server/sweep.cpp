#include "server/sweep.hpp"

#include "server/backup_log.hpp"
#include "server/catalog_client.hpp"
#include "server/clone.hpp"
#include "server/scratch.hpp"
#include "server/sql_call.hpp"
#include "server/sweep_tests.hpp"
#include "server/test_rows.hpp"
#include "server/worker.hpp"

extern "C" {
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

// After a failure the next try comes a minute later, then two, at most an hour.
constexpr int64 kFirstRetryMs = INT64CONST(60) * 1000;
constexpr int kMostDoublings = 6;

struct Sweep {
    MemoryContext context;
    CatalogClient* catalog;
    List* seen;    ///< of char*: ids of the backups in the repository
    int failures;  ///< rows that could not be settled now
    bool quiet;    ///< nothing depends on this sweep: a repository that is not there yet is no news
};

/// Does one step for one backup in its own transactions, so that one bad row does not keep the
/// others.
using Step = void (*)(Sweep* sweep, char* value);

void try_step(Sweep* sweep, Step step, char* value) {
    PG_TRY();
    { step(sweep, value); }
    PG_CATCH();
    {
        const ErrorData* error = take_error(sweep->context);
        sweep->failures++;
        ereport(sweep->quiet ? DEBUG1 : LOG,
                (errmsg("pg_ark sweep: %s", error->message),
                 error->detail != nullptr ? errdetail_internal("%s", error->detail) : 0,
                 error->hint != nullptr ? errhint("%s", error->hint) : 0));
    }
    PG_END_TRY();
}

void try_all(Sweep* sweep, Step step, List* values) {
    ListCell* cell;
    foreach (cell, values) {
        CHECK_FOR_INTERRUPTS();
        // An ended child answers nothing any more; the next sweep has a new one.
        if (sweep->failures > 0 && worker_is_ending())
            return;
        try_step(sweep, step, static_cast<char*>(lfirst(cell)));
    }
}

List* column_of(Sweep* sweep, uint64 rows) {
    MemoryContext old = MemoryContextSwitchTo(sweep->context);
    List* values = NIL;
    for (uint64 i = 0; i < rows; i++)
        values = lappend(values, MemoryContextStrdup(sweep->context, result(i, 1)));
    MemoryContextSwitchTo(old);
    return values;
}

bool adopt(Sweep* sweep, const char* backup_id, const char* json) {
    const bool changed = adopt_marker(backup_id, json, catalog_repository_id(sweep->catalog));
    if (changed)
        ereport(LOG, (errmsg("backup \"%s\" is in the repository: ark.backup_log says so now",
                             backup_id)));
    return changed;
}

void write_orphan_end(const char* backup_id, const char* kept) {
    BackupFailure failure = {};
    failure.status = "failed";
    failure.sqlstate = ERRCODE_CRASH_SHUTDOWN;
    failure.message = "the server or the worker ended before the backup was complete";
    failure.detail = kept[0] != '\0' ? psprintf("Not all of it was removed: %s", kept) : nullptr;
    failure.hint = "Take it again; the server's log tells what happened.";
    begin_sql("pg_ark sweep: end of a backup");
    fail_backup_row(backup_id, failure);
    sql("UPDATE ark.backup_log SET error = error OPERATOR(pg_catalog.-) 'leftovers' "
        "WHERE backup_id = $1 AND error->>'leftovers' = 'true'",
        backup_id);
    commit_sql();
    if (kept[0] == '\0')
        ereport(LOG, (errmsg("backup \"%s\" did not end: its leftovers are swept", backup_id)));
    else
        ereport(LOG, (errmsg("backup \"%s\" did not end: its leftovers stay for now", backup_id),
                      errdetail_internal("%s.", kept)));
}

// A row without a job: either its marker was written, then it is a backup, or it never will be.
void settle_orphan(Sweep* sweep, char* backup_id) {
    if (job_is_active(backup_id))
        return;
    if (const char* json = catalog_find(sweep->catalog, backup_id)) {
        begin_sql("pg_ark sweep: end of a backup");
        (void)adopt(sweep, backup_id, json);
        commit_sql();
        return;
    }
    // The original may be taking this backup right now: a copy keeps its hands off.
    if (is_clone())
        return;
    write_orphan_end(backup_id, catalog_cleanup(sweep->catalog, backup_id));
}

// The list outlives the transaction that it grows in.
void remember(Sweep* sweep, const char* backup_id) {
    MemoryContext old = MemoryContextSwitchTo(sweep->context);
    sweep->seen = lappend(sweep->seen, pstrdup(backup_id));
    MemoryContextSwitchTo(old);
}

void settle_found(Sweep* sweep, char* json) {
    begin_sql("pg_ark sweep: backups of the repository");
    sql("SELECT $1::pg_catalog.jsonb->>'backup_id'", json);
    const char* id = result(0, 1);
    if (id != nullptr && !job_is_active(id)) {
        remember(sweep, id);
        if (!adopt(sweep, id, json))
            (void)complete_outline(id, json);
    }
    commit_sql();
}

// A list alone never decides that a backup is gone: it is asked for by name.
void settle_missing(Sweep* sweep, char* backup_id) {
    ListCell* cell;
    foreach (cell, sweep->seen) {
        if (strcmp(static_cast<const char*>(lfirst(cell)), backup_id) == 0)
            return;
    }
    if (job_is_active(backup_id) || catalog_find(sweep->catalog, backup_id) != nullptr)
        return;
    begin_sql("pg_ark sweep: expired backups");
    sql("UPDATE ark.backup_log SET status = 'expired' WHERE backup_id = $1 AND status = "
        "'completed'",
        backup_id);
    commit_sql();
    ereport(LOG, (errmsg("backup \"%s\" is no longer in the repository", backup_id)));
}

// What a lost row, another primary or a killed upload left. A copy of the cluster keeps its hands
// off.
void tidy(Sweep* sweep, char*) {
    if (is_clone())
        return;
    char* kept = nullptr;
    const uint64 objects = catalog_tidy(sweep->catalog, &kept);
    if (objects > 0)
        ereport(LOG, (errmsg("removed " UINT64_FORMAT
                             " objects of unfinished backups and uploads from the repository",
                             objects)));
    if (kept[0] != '\0')
        ereport(LOG, (errmsg("objects of unfinished backups and checks stay in the repository"),
                      errdetail_internal("%s.", kept),
                      errhint("Where this server may not remove anything on purpose, let a "
                              "lifecycle rule of the bucket do it.")));
}

// Of a test that is under way here, or was, the row is there before its evidence is.
void settle_test(Sweep* sweep, const char* backup_id, const char* test_id) {
    if (job_of_test(test_id).found)
        return;
    begin_sql("pg_ark sweep: tests of other hosts");
    const bool known =
        sql("SELECT 1 FROM ark.backup_tests WHERE id = $1::pg_catalog.uuid UNION ALL "
            "SELECT 1 FROM ark.backup_verification WHERE id = $1::pg_catalog.uuid",
            test_id) > 0;
    commit_sql();
    char* json = known ? nullptr : catalog_evidence(sweep->catalog, backup_id, test_id);
    if (json == nullptr)
        return;
    begin_sql("pg_ark sweep: tests of other hosts");
    const bool made = adopt_evidence(json);
    commit_sql();
    pfree(json);
    if (made)
        ereport(LOG, (errmsg("test \"%s\" of backup \"%s\" was done elsewhere: "
                             "ark.backup_tests says so now",
                             test_id, backup_id)));
}

void settle_tests(Sweep* sweep, char* backup_id) {
    ListCell* cell;
    foreach (cell, catalog_tests(sweep->catalog, backup_id))
        settle_test(sweep, backup_id, static_cast<const char*>(lfirst(cell)));
}

// These need no repository, and come first: it may be away.
void sweep_tests(Sweep*, char*) {
    begin_sql("pg_ark sweep");
    const bool here = extension_is_here();
    commit_sql();
    if (here)
        end_orphaned_tests();
}

void sweep_scratch(Sweep*, char*) {
    const uint64 count = sweep_scratch_directory();
    if (count > 0)
        ereport(LOG, (errmsg("removed what " UINT64_FORMAT " restore tests left in \"%s\"", count,
                             scratch_directory())));
}

void sweep_all(Sweep* sweep) {
    begin_sql("pg_ark sweep");
    if (!extension_is_here()) {
        // CREATE EXTENSION asks for a sweep when it commits.
        commit_sql();
        return;
    }
    List* orphans = column_of(sweep, sql("SELECT backup_id FROM ark.backup_log WHERE status = "
                                         "'in_progress' OR error->>'leftovers' = 'true'"));
    sweep->quiet = sql("SELECT 1 FROM ark.backup_log LIMIT 1") == 0;
    commit_sql();
    sweep->catalog = catalog_open(ChildWait::kLatch, kCatalogTimeoutMs);
    sweep->quiet = false;
    try_all(sweep, settle_orphan, orphans);
    try_all(sweep, settle_found, catalog_list(sweep->catalog));
    begin_sql("pg_ark sweep: expired backups");
    List* completed =
        column_of(sweep, sql("SELECT backup_id FROM ark.backup_log WHERE status = 'completed' AND "
                             "repository_id = $1 AND cluster = $2",
                             catalog_repository_id(sweep->catalog), cluster_name()));
    commit_sql();
    try_all(sweep, settle_missing, completed);
    try_all(sweep, settle_tests, sweep->seen);
    try_step(sweep, tidy, nullptr);
}

void note_result(const Sweep& sweep) {
    lock_shared(LW_EXCLUSIVE);
    shared->last_sweep_at = GetCurrentTimestamp();
    if (sweep.failures == 0) {
        shared->sweep_failures = 0;
        shared->sweep_not_before = 0;
    } else {
        const int doublings = Min(shared->sweep_failures, kMostDoublings);
        shared->sweep_failures++;
        shared->sweep_requested = true;
        shared->sweep_not_before =
            TimestampTzPlusMilliseconds(GetCurrentTimestamp(), kFirstRetryMs << doublings);
    }
    unlock_shared();
}

void run_step(Sweep* sweep, char*) {
    sweep_all(sweep);
}

}  // namespace

void run_sweep(JobRef ref) {
    auto* sweep = static_cast<Sweep*>(palloc0(sizeof(Sweep)));
    sweep->context = CurrentMemoryContext;
    try_step(sweep, sweep_tests, nullptr);
    try_step(sweep, sweep_scratch, nullptr);
    try_step(sweep, run_step, nullptr);
    if (sweep->catalog != nullptr)
        catalog_close(sweep->catalog);
    note_result(*sweep);
    job_end(ref, nullptr);
}

}  // namespace ark
