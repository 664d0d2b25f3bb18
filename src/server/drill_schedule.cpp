#include "server/drill_schedule.hpp"

#include "server/sql_call.hpp"
#include "server/worker.hpp"

extern "C" {
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

struct ScheduleJob {
    MemoryContext context;
    ErrorData* error;  ///< of the last step; NULL: it went well
    List* due;         ///< names
    const char* name;  ///< of the drill that is started
    const char* why;   ///< it could not be
};

using Step = void (*)(ScheduleJob* job);

bool try_step(ScheduleJob* job, Step step) {
    job->error = nullptr;
    PG_TRY();
    { step(job); }
    PG_CATCH();
    { job->error = take_error(job->context); }
    PG_END_TRY();
    return job->error == nullptr;
}

// A test that nobody has a result of: the server ended before it, and the sweep has said so, or
// somebody has removed its row.
void note_results() {
    sql("UPDATE ark.drills AS d SET last_result = CASE WHEN t.success THEN 'passed' WHEN NOT "
        "t.success THEN 'failed' ELSE 'unknown' END, last_message = CASE WHEN t.success IS NULL "
        "THEN t.errors->0->>'message' END FROM ark.backup_tests AS t WHERE t.id = d.last_test_id "
        "AND d.last_result = 'running' AND t.completed_at IS NOT NULL");
    sql("UPDATE ark.drills AS d SET last_result = 'unknown', last_message = 'its row in "
        "ark.backup_tests is gone' WHERE d.last_result = 'running' AND NOT EXISTS (SELECT FROM "
        "ark.backup_tests AS t WHERE t.id = d.last_test_id)");
}

// A clock that was wrong, or a schedule that was changed by hand, may have left a time that no run
// of the schedule has.
void set_next_runs() {
    sql("UPDATE ark.drills AS d SET next_run = n.next FROM (SELECT name, ark.next_drill_run("
        "first_run, schedule, timezone, pg_catalog.clock_timestamp()) AS next FROM ark.drills "
        "WHERE enabled) AS n WHERE n.name = d.name AND (d.next_run IS NULL OR d.next_run > "
        "n.next)");
    sql("UPDATE ark.drills SET retry_at = NULL WHERE retry_at > pg_catalog.clock_timestamp() + "
        "interval '2 hours'");
}

void look(ScheduleJob* job) {
    begin_sql("pg_ark: schedule of drills");
    if (extension_is_here()) {
        note_results();
        set_next_runs();
        const uint64 rows =
            sql("SELECT name FROM ark.drills WHERE enabled AND COALESCE(retry_at, next_run) <= "
                "pg_catalog.clock_timestamp() ORDER BY COALESCE(retry_at, next_run), name");
        for (uint64 i = 0; i < rows; i++) {
            const char* name = MemoryContextStrdup(job->context, result(i, 1));
            MemoryContext old = MemoryContextSwitchTo(job->context);
            job->due = lappend(job->due, const_cast<char*>(name));
            MemoryContextSwitchTo(old);
        }
    }
    commit_sql();
}

// What is asked for under the row's lock: the backup (NULL: what fits the target), and options.
struct Due {
    const char* target;
    const char* backup;
    const char* options;
    const char* last_test;  ///< NULL: none runs
};

// False: it is not due any more, or somebody else has it.
bool take_due(const char* name, Due* due) {
    const uint64 rows = sql(
        "SELECT d.target, (SELECT b.backup_id FROM ark.backup_log AS b WHERE d.backup <> "
        "'newest' AND b.status = 'completed' ORDER BY CASE WHEN d.backup = 'random' THEN "
        "pg_catalog.random() END, b.started_at LIMIT 1), pg_catalog.jsonb_build_object('notes', "
        "pg_catalog.format('scheduled drill \"%s\"', d.name)) || d.options, CASE WHEN "
        "d.last_result = 'running' THEN d.last_test_id END FROM ark.drills AS d WHERE d.name = "
        "$1 AND d.enabled AND COALESCE(d.retry_at, d.next_run) <= pg_catalog.clock_timestamp() "
        "FOR UPDATE SKIP LOCKED",
        name);
    *due = {result(0, 1), result(0, 2), result(0, 3), result(0, 4)};
    return rows > 0;
}

const char* start_test(const Due& due) {
    sql("SELECT ark.start_drill($1, $2, $3::pg_catalog.jsonb)", due.backup, due.target,
        due.options);
    return result(0, 1);
}

void note_run(const char* name, const char* test_id) {
    sql("UPDATE ark.drills SET next_run = ark.next_drill_run(first_run, schedule, timezone, "
        "pg_catalog.clock_timestamp()), retry_at = NULL, failures = 0, last_test_id = "
        "$2::pg_catalog.uuid, last_started_at = pg_catalog.clock_timestamp(), last_result = "
        "'running', last_message = NULL WHERE name = $1",
        name, test_id);
}

// The row of the test commits while ours waits: what ends the server between the two ends the test
// too, and the drill is due again.
void start(ScheduleJob* job) {
    Due due = {};
    begin_sql("pg_ark: start of a drill");
    if (take_due(job->name, &due)) {
        if (due.last_test != nullptr && job_of_test(due.last_test).found) {
            // Its end is still to be noted.
            sql("UPDATE ark.drills SET next_run = ark.next_drill_run(first_run, schedule, "
                "timezone, "
                "pg_catalog.clock_timestamp()), retry_at = NULL, last_message = 'a run was "
                "skipped: the one before was still going on' WHERE name = $1",
                job->name);
        } else {
            note_run(job->name, start_test(due));
        }
    }
    commit_sql();
}

void note_failure(ScheduleJob* job) {
    begin_sql("pg_ark: a drill that could not be started");
    sql("UPDATE ark.drills SET last_result = 'not_started', last_message = $2, failures = failures "
        "+ 1, retry_at = pg_catalog.clock_timestamp() + LEAST(interval '1 hour', interval '1 "
        "minute' * pg_catalog.power(2, LEAST(failures, 10))) WHERE name = $1",
        job->name, job->why);
    commit_sql();
}

void start_or_note(ScheduleJob* job) {
    if (try_step(job, start) || worker_is_ending())
        return;
    const ErrorData* error = job->error;
    ereport(WARNING, (errcode(error->sqlerrcode),
                      errmsg("drill \"%s\" could not be started: %s", job->name, error->message),
                      error->detail != nullptr ? errdetail_internal("%s", error->detail) : 0,
                      errhint("It is tried again; ark.drills says when.")));
    job->why = error->message;
    if (!try_step(job, note_failure))
        ereport(LOG, (errmsg("could not note it in ark.drills: %s", job->error->message)));
}

void tell_next(ScheduleJob*) {
    begin_sql("pg_ark: schedule of drills");
    TimestampTz next = 0;
    if (extension_is_here()) {
        sql("SELECT pg_catalog.min(COALESCE(retry_at, next_run)) FROM ark.drills WHERE enabled AND "
            "pg_catalog.isfinite(next_run)");
        if (const char* text = result(0, 1))
            next = DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(text),
                                                           ObjectIdGetDatum(InvalidOid),
                                                           Int32GetDatum(-1)));
    }
    commit_sql();
    lock_shared(LW_EXCLUSIVE);
    shared->schedule.next_at = next;
    unlock_shared();
}

}  // namespace

void run_schedule(JobRef ref) {
    auto* job = static_cast<ScheduleJob*>(palloc0(sizeof(ScheduleJob)));
    job->context = CurrentMemoryContext;
    bool good = try_step(job, look);
    ListCell* cell;
    foreach (cell, job->due) {
        job->name = static_cast<const char*>(lfirst(cell));
        if (!worker_is_ending())
            start_or_note(job);
    }
    good = good && try_step(job, tell_next);
    if (!good && !worker_is_ending())
        ereport(LOG, (errmsg("could not look at ark.drills: %s", job->error->message),
                      errdetail("It is tried again in a minute.")));
    job_end(ref, nullptr);
    wake_launcher();
}

}  // namespace ark
