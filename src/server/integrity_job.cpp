// A run of integrity checks: a row, the checks one after the other, a result of each, an end.
#include "server/integrity_job.hpp"

#include "server/integrity_plan.hpp"
#include "server/integrity_rows.hpp"
#include "server/job_row.hpp"
#include "server/settings.hpp"
#include "server/sql_call.hpp"
#include "server/worker.hpp"

extern "C" {
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

// What is kept of the violations, and how far they are counted.
constexpr int kSamples = 10;
constexpr int kSampleBytes = 4096;
constexpr uint64 kMostCounted = 100000;
// Checks that one ready-made one may make.
constexpr int kMostMade = 100000;

struct IntegrityJob {
    MemoryContext context;        ///< of the job
    MemoryContext check_context;  ///< of one check
    JobRef ref;
    const JobRequest* request;
    TimestampTz started_at;
    JobProgress progress;
    List* checks;  ///< of IntegrityCheck*
    uint64 bad;    ///< violations, and checks that could not run, of severity error and critical
};

JobRow row_of(const IntegrityJob& job) {
    return {job.context, "run of integrity checks", job.request->test_id, "ark.integrity_runs"};
}

void insert_row(const void* pointer) {
    const auto* job = static_cast<const IntegrityJob*>(pointer);
    insert_integrity_run(*job->request, job->started_at);
}

void tell_progress(IntegrityJob* job, const char* doing) {
    strlcpy(job->progress.phase, "running", sizeof(job->progress.phase));
    copy_text(job->progress.doing, sizeof(job->progress.doing), doing);
    job_set_progress(job->ref, job->progress);
}

void load(IntegrityJob* job) {
    begin_sql("pg_ark: integrity checks");
    expire_integrity_results();
    commit_sql();
    begin_sql("pg_ark: integrity checks");
    require_check_role(settings.check_role);
    job->checks = load_checks(*job->request, settings.check_role, job->context);
    commit_sql();
    if (job->checks == NIL)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("there is no integrity check to run"),
                        errdetail("ark.integrity_checks has none that is enabled, runs live and is "
                                  "of the category, database and names that were asked for."),
                        errhint("Begin with SELECT ark.add_ready_made_checks(), or write one with "
                                "ark.add_integrity_check.")));
}

IntegrityResult result_of(const IntegrityJob& job, const IntegrityCheck& check,
                          TimestampTz began_at) {
    IntegrityResult result = {};
    result.run_id = job.request->test_id;
    result.check = check.name;
    result.category = check.category;
    result.severity = check.severity;
    result.object = check.object;
    result.database = check.database;
    result.started_at = began_at;
    result.ms = TimestampDifferenceMilliseconds(began_at, GetCurrentTimestamp());
    return result;
}

bool counts(const char* severity) {
    return strcmp(severity, "error") == 0 || strcmp(severity, "critical") == 0;
}

void keep(IntegrityJob* job, const IntegrityResult& result) {
    begin_sql("pg_ark: result of an integrity check");
    insert_integrity_result(result);
    commit_sql();
    const bool bad = strcmp(result.status, "failed") == 0 || strcmp(result.status, "error") == 0;
    job->bad += bad && counts(result.severity) ? 1 : 0;
}

void keep_error(IntegrityJob* job, IntegrityResult result, int sqlstate, const char* message,
                const char* detail, const char* hint) {
    result.status = "error";
    result.violations = 0;
    result.more = false;
    result.samples = nullptr;
    result.sqlstate = sqlstate;
    result.message = message;
    result.detail = detail;
    result.hint = hint;
    keep(job, result);
}

void keep_skipped(IntegrityJob* job, const IntegrityCheck& check) {
    IntegrityResult result = result_of(*job, check, GetCurrentTimestamp());
    result.status = "skipped";
    result.message = check.skip;
    keep(job, result);
}

// An error of the query's: its text comes from elsewhere.
void keep_outcome_error(IntegrityJob* job, const IntegrityResult& result,
                        const CheckOutcome& outcome) {
    begin_sql("pg_ark: result of an integrity check");
    MemoryContext old = MemoryContextSwitchTo(job->check_context);
    const char* message = from_utf8(outcome.message);
    const char* detail = outcome.detail == nullptr ? nullptr : from_utf8(outcome.detail);
    const char* hint = outcome.hint == nullptr ? nullptr : from_utf8(outcome.hint);
    MemoryContextSwitchTo(old);
    commit_sql();
    keep_error(job, result, outcome.sqlstate, message, detail, hint);
}

// Samples come from the tables, and not all that json takes jsonb does (\u0000): the count stays
// then.
bool try_to_keep(IntegrityJob* job, const IntegrityResult& result) {
    volatile bool done = false;
    PG_TRY();
    {
        keep(job, result);
        done = true;
    }
    PG_CATCH();
    {
        ErrorData* error = take_error(job->check_context);
        if (error->sqlerrcode == ERRCODE_QUERY_CANCELED || worker_is_ending())
            ReThrowError(error);
    }
    PG_END_TRY();
    return done;
}

void keep_found(IntegrityJob* job, const IntegrityCheck& check, IntegrityResult result,
                const CheckOutcome& outcome) {
    begin_sql("pg_ark: result of an integrity check");
    MemoryContext old = MemoryContextSwitchTo(job->check_context);
    result.samples = outcome.rows == NIL ? nullptr : json_array(outcome.rows);
    MemoryContextSwitchTo(old);
    commit_sql();
    result.status = outcome.count > check.threshold ? "failed" : "passed";
    result.violations = outcome.count;
    result.more = outcome.more;
    if (result.samples == nullptr) {
        keep(job, result);
        return;
    }
    if (try_to_keep(job, result))
        return;
    result.samples = nullptr;
    result.message = "the samples could not be kept";
    keep(job, result);
}

CheckOutcome ask(const IntegrityCheck& check, const char* query, int rows, int row_bytes,
                 uint64 bound) {
    const bool without_indexes =
        check.object != nullptr && check.ready_made != nullptr && check.ready_made->without_indexes;
    return run_check_query({check.database, settings.check_role, check.owner, query,
                            check.timeout_ms, without_indexes, rows, row_bytes, bound});
}

void run_one(IntegrityJob* job, const IntegrityCheck& check) {
    const TimestampTz began_at = GetCurrentTimestamp();
    const CheckOutcome outcome =
        ask(check, check.sql, kSamples, kSampleBytes, Max(kMostCounted, check.threshold + 1));
    const IntegrityResult result = result_of(*job, check, began_at);
    if (outcome.sqlstate != 0)
        keep_outcome_error(job, result, outcome);
    else
        keep_found(job, check, result, outcome);
}

// The checks that a ready-made one makes come next in the list.
void make_checks(IntegrityJob* job, const IntegrityCheck& check, int position) {
    const TimestampTz began_at = GetCurrentTimestamp();
    const CheckOutcome outcome =
        ask(check, ready_made_query(*check.ready_made, check.options), kMostMade, 0, kMostMade);
    if (outcome.sqlstate != 0) {
        keep_outcome_error(job, result_of(*job, check, began_at), outcome);
        return;
    }
    begin_sql("pg_ark: ready-made integrity checks");
    const List* made = made_checks(check, outcome.rows, job->context);
    commit_sql();
    MemoryContext old = MemoryContextSwitchTo(job->context);
    ListCell* cell;
    foreach (cell, made)
        job->checks = list_insert_nth(job->checks, ++position, lfirst(cell));
    MemoryContextSwitchTo(old);
    job->progress.total = list_length(job->checks);
}

void run_check(IntegrityJob* job, const IntegrityCheck& check, int position) {
    if (check.skip != nullptr)
        keep_skipped(job, check);
    else if (check.unreachable != nullptr)
        keep_error(job, result_of(*job, check, GetCurrentTimestamp()), ERRCODE_CONNECTION_FAILURE,
                   check.unreachable, nullptr, check.unreachable_hint);
    else if (check.locked)
        keep_error(job, result_of(*job, check, GetCurrentTimestamp()), ERRCODE_LOCK_NOT_AVAILABLE,
                   "the table is locked", "What is to be checked cannot be read from the catalogs.",
                   "Run the check again when the transaction that holds the lock has ended.");
    else if (check.sql == nullptr)
        make_checks(job, check, position);
    else
        run_one(job, check);
}

// What is wrong with one check, its rows or its text, is kept as its result.
void try_check(IntegrityJob* job, const IntegrityCheck& check, int position) {
    ErrorData* volatile error = nullptr;
    PG_TRY();
    { run_check(job, check, position); }
    PG_CATCH();
    { error = take_error(job->check_context); }
    PG_END_TRY();
    if (error == nullptr)
        return;
    if (error->sqlerrcode == ERRCODE_QUERY_CANCELED || worker_is_ending())
        ReThrowError(error);
    keep_error(job, result_of(*job, check, GetCurrentTimestamp()), error->sqlerrcode,
               psprintf("the result could not be kept: %s", error->message), error->detail,
               error->hint);
}

void run_all(IntegrityJob* job) {
    load(job);
    job->progress.total = list_length(job->checks);
    for (int i = 0; i < list_length(job->checks); i++) {
        const auto* check = static_cast<const IntegrityCheck*>(list_nth(job->checks, i));
        if (job_view(job->ref).cancel_requested)
            ereport(ERROR, (errcode(ERRCODE_QUERY_CANCELED), errmsg("the run was cancelled")));
        tell_progress(job, check->object == nullptr
                               ? check->name
                               : psprintf("%s: %s", check->name, check->object));
        MemoryContextReset(job->check_context);
        MemoryContext old = MemoryContextSwitchTo(job->check_context);
        try_check(job, *check, i);
        MemoryContextSwitchTo(old);
        job->progress.done = i + 1;
    }
}

void complete_row(const void* pointer) {
    complete_integrity_run(static_cast<const IntegrityJob*>(pointer)->request->test_id);
}

void end_well(IntegrityJob* job) {
    write_job_end(row_of(*job), complete_row, job);
    job_set_verdict(job->ref, job->bad == 0 ? Verdict::kGood : Verdict::kDamaged);
    job_end(job->ref, nullptr);
    if (job->bad > 0)
        ereport(WARNING, (errcode(ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION),
                          errmsg_plural("%lu integrity check failed or could not run",
                                        "%lu integrity checks failed or could not run",
                                        static_cast<unsigned long>(job->bad),
                                        static_cast<unsigned long>(job->bad)),
                          errhint("See ark.integrity_results, run_id %s.", job->request->test_id)));
}

struct RunFailure {
    const IntegrityJob* job;
    const ErrorData* error;
};

void fail_row(const void* pointer) {
    const auto* failure = static_cast<const RunFailure*>(pointer);
    (void)fail_integrity_run(failure->job->request->test_id, failure->error->sqlerrcode,
                             failure->error->message, failure->error->hint);
}

void describe_end(ErrorData* error) {
    if (worker_is_ending()) {
        error->sqlerrcode = ERRCODE_ADMIN_SHUTDOWN;
        error->message = pstrdup(
            "the run of integrity checks was ended by a shutdown of the server or of its worker");
        error->hint = pstrdup("Start it again.");
    } else if (error->sqlerrcode == ERRCODE_QUERY_CANCELED) {
        error->message = pstrdup("the run of integrity checks was cancelled");
        error->hint = nullptr;
    }
}

void end_badly(IntegrityJob* job, ErrorData* error) {
    describe_end(error);
    const RunFailure failure = {job, error};
    write_job_end(row_of(*job), fail_row, &failure);
    JobError kept = {};
    copy_error(&kept, *error);
    job_end(job->ref, &kept);
    const bool cancelled = error->sqlerrcode == ERRCODE_QUERY_CANCELED;
    ereport(cancelled ? LOG : WARNING,
            (errcode(error->sqlerrcode),
             errmsg("run \"%s\" of integrity checks did not end well: %s", job->request->test_id,
                    error->message),
             error->detail != nullptr ? errdetail_internal("%s", error->detail) : 0,
             error->hint != nullptr ? errhint("%s", error->hint) : 0));
}

}  // namespace

void run_integrity(JobRef ref) {
    auto* job = static_cast<IntegrityJob*>(palloc0(sizeof(IntegrityJob)));
    job->context = CurrentMemoryContext;
    job->check_context =
        AllocSetContextCreate(job->context, "pg_ark integrity check", ALLOCSET_DEFAULT_SIZES);
    job->ref = ref;
    job->request = job_request_of(ref);
    job->started_at = GetCurrentTimestamp();
    if (!make_job_row(ref, row_of(*job), insert_row, job))
        return;
    ErrorData* volatile error = nullptr;
    PG_TRY();
    { run_all(job); }
    PG_CATCH();
    { error = take_error(job->context); }
    PG_END_TRY();
    if (error != nullptr)
        end_badly(job, error);
    else
        end_well(job);
}

}  // namespace ark
