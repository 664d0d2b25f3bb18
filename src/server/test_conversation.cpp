// docs/child-protocol.md, "server-drill" and "server-verify", from the module's side. No
// transaction is open meanwhile.
#include "server/test_conversation.hpp"

#include "server/conversation.hpp"
#include "server/scratch.hpp"
#include "server/settings.hpp"
#include "server/worker.hpp"

extern "C" {
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
    message_token(&out, "id", request.backup_id);
    message_token(&out, "test", request.test_id);
    message_number(
        &out, "jobs",
        request.jobs > 0 ? request.jobs : static_cast<uint64>(settings.restore_test_jobs));
    return out;
}

void send_drill(TestJob* job) {
    StringInfoData out = new_message("drill", *job->request);
    message_number(&out, "memory_mb", static_cast<uint64>(settings.restore_test_memory_mb));
    message_text(&out, "scratch", scratch_directory());
    message_text(&out, "bindir", server_program_directory());
    message_text(&out, "libraries", settings.restore_test_libraries);
    message_end(&out);
    ListCell* cell;
    foreach (cell, live_directories()) {
        message_begin(&out, "keep_away");
        message_text(&out, "path", static_cast<const char*>(lfirst(cell)));
        message_end(&out);
    }
    message_begin(&out, "begin");
    message_end(&out);
    child_send(job->child, out);
    job->begun = true;
}

void send_verify(const TestJob& job) {
    StringInfoData out = new_message("verify", *job.request);
    message_number(&out, "changes", job.request->audits_changes ? 1 : 0);
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
