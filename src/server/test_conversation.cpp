// docs/child-protocol.md, "server-drill" and "server-verify", from the module's side. No
// transaction is open meanwhile.
#include "server/test_conversation.hpp"

#include "server/conversation.hpp"
#include "server/ready_made.hpp"
#include "server/scratch.hpp"
#include "server/settings.hpp"
#include "server/sql_call.hpp"
#include "server/worker.hpp"

extern "C" {
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"
}

namespace ark {
namespace {

constexpr int64 kOpenTimeoutMs = INT64CONST(5) * 60 * 1000;
// The child tells its progress several times a second; a silence of this length is a hang.
constexpr int64 kSilenceMs = INT64CONST(30) * 60 * 1000;

StringInfoData new_message(const char* verb, const JobRequest& request) {
    StringInfoData out;
    initStringInfo(&out);
    message_begin(&out, verb);
    message_token(&out, "id", request.backup_id[0] != '\0' ? request.backup_id : nullptr);
    message_token(&out, "test", request.test_id);
    message_number(
        &out, "jobs",
        request.jobs > 0 ? request.jobs : static_cast<uint64>(settings.restore_test_jobs));
    return out;
}

void add_target(StringInfo out, const JobRequest& request) {
    message_token(out, "mode", "drill");
    message_token(out, "target", request.target);
    message_text(out, "asked", request.asked);
    if (strcmp(request.target, "time") == 0)
        message_number(out, "target_time", request.target_time);
    if (request.seed != 0)
        message_number(out, "seed", request.seed);
    if (request.steps[0] != '\0')
        message_text(out, "steps", request.steps);
}

// As hexadecimal, with all else of its message, it has to fit one.
constexpr size_t kMostCheckBytes = 400 * 1024;

// The query that makes the checks of a ready-made one, in the copy and of its catalogs; NULL where
// it is none for a copy, or of another version.
const char* query_of_ready_made(const ReadyMade* ready_made, uint64 row) {
    if (ready_made == nullptr) {
        ereport(WARNING, (errmsg("check \"%s\" is left out of the drill: this version of pg_ark "
                                 "knows no ready-made check \"%s\"",
                                 result(row, 2), result(row, 11))));
        return nullptr;
    }
    return ready_made->in_drills ? ready_made_query(*ready_made, result(row, 12)) : nullptr;
}

// As the child wants it, whatever the encoding of this database.
const char* utf8(const char* text) {
    return text == nullptr ? nullptr
                           : pg_server_to_any(text, static_cast<int>(strlen(text)), PG_UTF8);
}

// `row` of ark.drill_checks().
void add_check(StringInfo out, uint64 row) {
    const char* name = result(row, 2);
    const char* text = result(row, 7);
    const char* kind = result(row, 11);
    const ReadyMade* ready_made = kind == nullptr ? nullptr : find_ready_made(kind);
    if (kind != nullptr) {
        text = query_of_ready_made(ready_made, row);
        if (text == nullptr)
            return;
    }
    if (name == nullptr || text == nullptr || strlen(text) > kMostCheckBytes) {
        ereport(WARNING, (errmsg("check \"%s\" is left out: its query is longer than %zu bytes",
                                 name != nullptr ? name : "", kMostCheckBytes)));
        return;
    }
    message_begin(out, "check");
    message_token(out, "kind", ready_made != nullptr ? "ready_made" : result(row, 1));
    if (ready_made != nullptr) {
        message_token(out, "ready_made", ready_made->kind);
        message_number(out, "without_indexes", ready_made->without_indexes ? 1 : 0);
    }
    message_text(out, "name", utf8(name));
    message_token(out, "category", result(row, 3));
    message_token(out, "severity", result(row, 4));
    if (const char* threshold = result(row, 5))
        message_number(out, "threshold", strtou64(threshold, nullptr, 10));
    message_text(out, "database",
                 utf8(result(row, 6) != nullptr ? result(row, 6) : settings.database));
    message_text(out, "sql", utf8(text));
    message_text(out, "expected", utf8(result(row, 8)));
    message_text(out, "predicate", utf8(result(row, 9)));
    if (const char* timeout = result(row, 10))
        message_number(out, "timeout_ms", strtou64(timeout, nullptr, 10));
    message_end(out);
}

// Those of the tables as they are now, in the order of their tiers.
void send_checks(const TestJob& job) {
    StringInfoData out;
    initStringInfo(&out);
    begin_sql("pg_ark: checks of a drill");
    const uint64 rows =
        sql(psprintf("SELECT kind, name, category, severity, threshold, database, sql, expected, "
                     "predicate, timeout_ms, ready_made, CASE ready_made WHEN 'wraparound' THEN "
                     "pg_catalog.jsonb_build_object('wraparound', %s) || options ELSE options END "
                     "FROM ark.drill_checks() ORDER BY \"position\"",
                     kWraparoundBound));
    for (uint64 i = 0; i < rows; i++)
        add_check(&out, i);
    if (out.len > 0)
        child_send(job.child, out);
    commit_sql();
}

// What is bounded by hand alone must not outgrow a message.
constexpr size_t kMostContext = 200 * 1000;

void read_context(TestJob* job) {
    begin_sql("pg_ark: objectives and earlier drills");
    sql("SELECT ark.drill_context()");
    const char* text = result(0, 1);
    if (text != nullptr && strlen(text) <= kMostContext)
        job->drill_context = MemoryContextStrdup(job->context, text);
    commit_sql();
}

// For reports alone: no reason not to test.
void try_to_read_context(TestJob* job) {
    PG_TRY();
    { read_context(job); }
    PG_CATCH();
    {
        const ErrorData* error = take_error(job->context);
        if (error->sqlerrcode == ERRCODE_QUERY_CANCELED || worker_is_ending())
            ereport(ERROR, (errcode(error->sqlerrcode), errmsg_internal("%s", error->message)));
        ereport(LOG, (errmsg("the objectives will not be in the evidence of the test: %s",
                             error->message)));
    }
    PG_END_TRY();
}

void send_drill(TestJob* job) {
    StringInfoData out = new_message("drill", *job->request);
    if (job->request->drill)
        add_target(&out, *job->request);
    message_number(&out, "memory_mb", static_cast<uint64>(settings.restore_test_memory_mb));
    message_text(&out, "scratch", scratch_directory());
    message_text(&out, "bindir", server_program_directory());
    message_text(&out, "libraries", settings.restore_test_libraries);
    if (job->drill_context != nullptr)
        message_text(&out, "context", job->drill_context);
    message_end(&out);
    ListCell* cell;
    foreach (cell, live_directories()) {
        message_begin(&out, "keep_away");
        message_text(&out, "path", static_cast<const char*>(lfirst(cell)));
        message_end(&out);
    }
    child_send(job->child, out);
    if (job->request->drill)
        send_checks(*job);
    initStringInfo(&out);
    message_begin(&out, "begin");
    message_end(&out);
    child_send(job->child, out);
    job->begun = true;
}

void send_verify(const TestJob& job) {
    StringInfoData out = new_message("verify", *job.request);
    message_number(&out, "changes", job.request->audits_changes ? 1 : 0);
    message_number(
        &out, "freshness_s",
        job.request->verifies_all ? 0 : static_cast<uint64>(settings.verify_freshness_s));
    message_end(&out);
    child_send(job.child, out);
}

void take_progress(TestJob* job, const Message& message) {
    JobProgress* progress = &job->progress;
    if (const char* phase = get_token(message, "phase"))
        strlcpy(progress->phase, phase, sizeof(progress->phase));
    copy_text(progress->doing, sizeof(progress->doing), get_text(message, "doing"));
    progress->done = get_number(message, "done");
    progress->total = get_number(message, "total");
    job_set_progress(job->ref, *progress);
}

void take_result(TestJob* job, const Message& message) {
    const char* evidence = get_text(message, "evidence");
    if (evidence == nullptr)
        ereport(ERROR, (errcode(ERRCODE_PROTOCOL_VIOLATION),
                        errmsg("pg_ark sent a result without evidence")));
    job->evidence = MemoryContextStrdup(job->context, evidence);
    const char* backup = get_token(message, "backup");
    if (backup != nullptr && job->request->backup_id[0] == '\0')
        strlcpy(job->request->backup_id, backup, sizeof(job->request->backup_id));
    job->verdict = get_number(message, "success") != 0 ? Verdict::kGood : Verdict::kDamaged;
}

}  // namespace

void set_test_phase(TestJob* job, const char* phase) {
    strlcpy(job->progress.phase, phase, sizeof(job->progress.phase));
    job_set_progress(job->ref, job->progress);
}

void converse_about_test(TestJob* job) {
    const bool drill = job->kind == JobKind::kRestoreTest;
    const OpenOptions options = {false, job->request->jobs, 0};
    set_test_phase(job, "opening");
    if (drill)
        try_to_read_context(job);
    job->child =
        child_start(program_path(), drill ? "server-drill" : "server-verify", ChildWait::kLatch);
    (void)open_repository(job->child, options, deadline_in_ms(kOpenTimeoutMs));
    if (drill)
        send_drill(job);
    else
        send_verify(*job);
    fault_point("module_test_begun");
    while (job->evidence == nullptr) {
        MemoryContextReset(job->message_context);
        MemoryContextSwitchTo(job->message_context);
        const Message message = receive(job->child, deadline_in_ms(kSilenceMs));
        if (message_is(message, "progress"))
            take_progress(job, message);
        else if (message_is(message, "result"))
            take_result(job, message);
        else
            ereport(ERROR,
                    (errcode(ERRCODE_PROTOCOL_VIOLATION),
                     errmsg("pg_ark sent \"%.40s\" where \"result\" was expected", message.verb)));
    }
    MemoryContextSwitchTo(job->context);
    fault_point("module_test_result");
}

}  // namespace ark
