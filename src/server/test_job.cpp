// A restore test or a verification as the server sees it: a row, its turn, a conversation with the
// child, an end.
#include "server/test_job.hpp"

#include <sys/wait.h>

#include <csignal>

#include "server/job_row.hpp"
#include "server/scratch.hpp"
#include "server/settings.hpp"
#include "server/sql_call.hpp"
#include "server/test_conversation.hpp"
#include "server/test_rows.hpp"
#include "server/worker.hpp"

extern "C" {
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

// A cancelled child ends its scratch server and removes its directory; a shutdown waits less long,
// and the next start sweeps.
constexpr int kPoliteMs = 3 * 1000;
constexpr int kGraceMs = 12 * 1000;
constexpr int kShutdownGraceMs = 3 * 1000;
constexpr long kTurnMs = 500;
// The log names this many findings; the row has all.
constexpr int kLogged = 5;

const char* what_of(const TestJob& job) {
    if (job.kind != JobKind::kRestoreTest)
        return "verification";
    return job.request->drill ? "drill" : "restore test";
}

// Of a drill that has not come so far nobody knows it.
const char* backup_of(const TestJob& job) {
    return job.request->backup_id[0] != '\0' ? job.request->backup_id : "(not chosen yet)";
}

JobRow row_of(const TestJob& job) {
    return {job.context, what_of(job), job.request->test_id,
            job.kind == JobKind::kRestoreTest ? "ark.backup_tests" : "ark.backup_verification"};
}

void insert_row(const void* pointer) {
    const auto* job = static_cast<const TestJob*>(pointer);
    insert_test_row(job->kind, *job->request, job->started_at);
}

void require_not_cancelled(const TestJob& job) {
    if (job_view(job.ref).cancel_requested)
        ereport(ERROR, (errcode(ERRCODE_QUERY_CANCELED), errmsg("the test was cancelled")));
}

// The worker waits with its row made, so that the test can be seen and cancelled. A reload may
// raise the limit.
void wait_for_turn(TestJob* job) {
    if (job->kind != JobKind::kRestoreTest)
        return;
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    set_test_phase(job, "waiting");
    while (!job_admit(job->ref, settings.restore_test_limit)) {
        require_not_cancelled(*job);
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, kTurnMs,
                        wait_event());
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
        if (ConfigReloadPending) {
            ConfigReloadPending = false;
            ProcessConfigFile(PGC_SIGHUP);
        }
    }
    // From here on the settings stay as they are.
    pqsignal(SIGHUP, ignore_signal());
}

void sweep_after(const TestJob& job) {
    PG_TRY();
    { (void)sweep_scratch_directory(); }
    PG_CATCH();
    {
        const ErrorData* error = take_error(job.context);
        ereport(LOG, (errmsg("could not sweep the scratch directory \"%s\": %s",
                             scratch_directory(), error->message)));
        request_sweep();
    }
    PG_END_TRY();
}

// A child that exits by itself has removed what it made, whatever the outcome. After any other end
// its directory, and for a moment its server, may still be there.
void stop_test_child(TestJob* job) {
    if (job->child == nullptr)
        return;
    const bool ending = worker_is_ending();
    const int status =
        child_stop(job->child, ending ? 0 : kPoliteMs, ending ? kShutdownGraceMs : kGraceMs);
    job->child = nullptr;
    if (job->begun && !ending && !WIFEXITED(status))
        sweep_after(*job);
}

TestFailure describe_failure(const TestJob& job, const ErrorData& error) {
    TestFailure failure = {error.sqlerrcode, error.message, error.detail, error.hint,
                           job.progress.phase};
    if (worker_is_ending()) {
        failure.sqlstate = ERRCODE_ADMIN_SHUTDOWN;
        failure.message =
            psprintf("the %s was ended by a shutdown of the server or of its worker", what_of(job));
        failure.hint = "Start it again.";
    } else if (error.sqlerrcode == ERRCODE_QUERY_CANCELED) {
        failure.message = psprintf("the %s was cancelled", what_of(job));
        failure.detail = nullptr;
        failure.hint = nullptr;
    }
    return failure;
}

struct TestEnd {
    const TestJob* job;
    const TestFailure* failure;  ///< NULL: there is evidence
};

void write_row(const void* pointer) {
    const auto* end = static_cast<const TestEnd*>(pointer);
    const TestJob& job = *end->job;
    if (end->failure == nullptr)
        complete_test_row(job.kind, *job.request, job.evidence);
    else
        (void)fail_test_row(job.kind, job.request->test_id, *end->failure);
}

void end_badly(TestJob* job, const ErrorData& error) {
    stop_test_child(job);
    const TestFailure failure = describe_failure(*job, error);
    const TestEnd end = {job, &failure};
    write_job_end(row_of(*job), write_row, &end);
    JobError kept = {};
    copy_error(&kept, error);
    kept.sqlstate = failure.sqlstate;
    copy_text(kept.message, sizeof(kept.message), failure.message);
    copy_text(kept.detail, sizeof(kept.detail), failure.detail);
    copy_text(kept.hint, sizeof(kept.hint), failure.hint);
    job_end(job->ref, &kept);
    const bool cancelled = failure.sqlstate == ERRCODE_QUERY_CANCELED;
    ereport(cancelled ? LOG : WARNING,
            (errcode(failure.sqlstate),
             errmsg("%s of backup \"%s\" has no result: %s", what_of(*job), backup_of(*job),
                    failure.message),
             failure.detail != nullptr ? errdetail_internal("%s", failure.detail) : 0,
             failure.hint != nullptr ? errhint("%s", failure.hint) : 0));
}

// The first findings as one text, or "".
char* first_findings(const TestJob& job) {
    MemoryContext context = CurrentMemoryContext;
    char* volatile text = pstrdup("");
    PG_TRY();
    {
        begin_sql("pg_ark: findings of a test");
        sql("SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', "
            "ark.marker_text(f->'database'), ark.marker_text(f->'relation'), "
            "'block ' || (f->>'block'), "
            "COALESCE(ark.marker_text(f->'path'), ark.marker_text(f->'object'))) || ': ' || "
            "ark.marker_text(f->'message'), '; ' ORDER BY n) "
            "FROM pg_catalog.jsonb_array_elements($1::pg_catalog.jsonb->'errors') WITH ORDINALITY "
            "AS e (f, n) WHERE n <= $2::pg_catalog.int4",
            job.evidence, number_text(kLogged));
        if (const char* found = result(0, 1))
            text = MemoryContextStrdup(context, found);
        commit_sql();
    }
    PG_CATCH();
    { (void)take_error(context); }
    PG_END_TRY();
    return text;
}

void report_end(const TestJob& job) {
    const long ms = TimestampDifferenceMilliseconds(job.started_at, GetCurrentTimestamp());
    if (job.verdict == Verdict::kGood) {
        const char* steps = job.request->steps;
        ereport(
            LOG,
            (errmsg("%s of backup \"%s\" found nothing wrong", what_of(job), backup_of(job)),
             steps[0] == '\0' ? errdetail("It took %ld.%03ld s.", ms / 1000, ms % 1000)
                              : errdetail("It took %ld.%03ld s. Only these checks were made: %s.",
                                          ms / 1000, ms % 1000, steps)));
        return;
    }
    const char* findings = first_findings(job);
    ereport(
        WARNING,
        (errcode(ERRCODE_DATA_CORRUPTED),
         errmsg("%s of backup \"%s\" found damage", what_of(job), backup_of(job)),
         findings[0] != '\0' ? errdetail_internal("%s", findings) : 0,
         job.request->drill
             ? errhint("Look at errors in %s, id %s. Rows that break a rule are repaired in the "
                       "live database, where it has them too; damage of files needs a new "
                       "backup, and its drill. Keep the older ones.",
                       row_of(job).table, job.request->test_id)
             : errhint("See %s, id %s, for all of it. Take a new backup, and keep the older "
                       "ones.",
                       row_of(job).table, job.request->test_id)));
}

void end_with_evidence(TestJob* job) {
    stop_test_child(job);
    const TestEnd end = {job, nullptr};
    write_job_end(row_of(*job), write_row, &end);
    job_set_verdict(job->ref, job->verdict);
    job_end(job->ref, nullptr);
    report_end(*job);
}

}  // namespace

void run_test(JobRef ref) {
    auto* job = static_cast<TestJob*>(palloc0(sizeof(TestJob)));
    job->context = CurrentMemoryContext;
    job->message_context =
        AllocSetContextCreate(job->context, "pg_ark message", ALLOCSET_DEFAULT_SIZES);
    job->ref = ref;
    job->kind = job_kind(ref);
    job->request = job_request_of(ref);
    job->started_at = GetCurrentTimestamp();
    strlcpy(job->progress.phase, "starting", sizeof(job->progress.phase));
    if (!make_job_row(ref, row_of(*job), insert_row, job))
        return;
    ErrorData* volatile error = nullptr;
    PG_TRY();
    {
        wait_for_turn(job);
        require_not_cancelled(*job);
        converse_about_test(job);
    }
    PG_CATCH();
    { error = take_error(job->context); }
    PG_END_TRY();
    if (error != nullptr)
        end_badly(job, *error);
    else
        end_with_evidence(job);
}

}  // namespace ark
