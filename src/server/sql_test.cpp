// Restore tests, drills and verifications, for SQL.
#include "server/audit_call.hpp"
#include "server/drill_options.hpp"
#include "server/job_options.hpp"
#include "server/launch_test.hpp"
#include "server/log_lookup.hpp"
#include "server/preconditions.hpp"
#include "server/sql_rows.hpp"
#include "server/wait_notice.hpp"

extern "C" {
#include "access/htup_details.h"
#include "executor/spi.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"
}

namespace ark {
namespace {

struct VerifyOptions {
    JobRequest* request;
    bool wait;
};

bool take_verify_option(void* target, const char* key, const JsonbValue& value) {
    auto* options = static_cast<VerifyOptions*>(target);
    if (strcmp(key, "wait") != 0)
        return take_test_option(options->request, key, value);
    options->wait = boolean_option(key, value);
    return true;
}

bool take_full_option(void* target, const char* key, const JsonbValue& value) {
    auto* options = static_cast<VerifyOptions*>(target);
    if (strcmp(key, "full") != 0)
        return take_verify_option(target, key, value);
    options->request->verifies_all = boolean_option(key, value);
    return true;
}

Jsonb* options_argument(FunctionCallInfo fcinfo, int n) {
    return PG_ARGISNULL(n) ? nullptr : PG_GETARG_JSONB_P(n);
}

// What the first argument, a backup's id, and p_options, where a function has them, ask for.
JobRequest* test_request(FunctionCallInfo fcinfo, bool with_options) {
    const char* id = PG_ARGISNULL(0) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(0));
    require_testable(id);
    JobRequest* request = new_test_request(id);
    if (with_options)
        take_options(options_argument(fcinfo, 1), "The options are tested_by, jobs and notes.",
                     take_test_option, request);
    return request;
}

// (p_backup_id text, p_target text, p_options jsonb)
JobRequest* drill_request(FunctionCallInfo fcinfo) {
    const char* id = PG_ARGISNULL(0) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(0));
    if (id != nullptr)
        require_testable(id);
    else
        require_drills();
    JobRequest* request = new_test_request(id != nullptr ? id : "");
    request->drill = true;
    take_drill_target(request, PG_ARGISNULL(1) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(1)));
    take_drill_options(request, options_argument(fcinfo, 2));
    return request;
}

Datum uuid_of(const JobRequest& request) {
    return DirectFunctionCall1(uuid_in, CStringGetDatum(request.test_id));
}

Datum verification(FunctionCallInfo fcinfo, bool audits_changes) {
    JobRequest* request = test_request(fcinfo, false);
    request->audits_changes = audits_changes;
    VerifyOptions options = {request, true};
    if (audits_changes)
        take_options(options_argument(fcinfo, 1),
                     "The options are tested_by, jobs, notes and wait.", take_verify_option,
                     &options);
    else
        take_options(options_argument(fcinfo, 1),
                     "The options are tested_by, jobs, notes, full and wait.", take_full_option,
                     &options);
    (void)launch_test(JobKind::kVerification, *request,
                      options.wait ? TestWait::kForEnd : TestWait::kForRow);
    return uuid_of(*request);
}

Datum test_row(FunctionCallInfo fcinfo, const JobRequest& request, Verdict verdict) {
    TupleDesc descriptor = nullptr;
    if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE)
        elog(ERROR, "ark.restore_test returns a row");
    Datum values[2] = {uuid_of(request), BoolGetDatum(verdict == Verdict::kGood)};
    bool nulls[2] = {false, false};
    return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls));
}

void emit_test(FunctionCallInfo fcinfo, const Job& job) {
    const JobProgress& p = job.progress;
    RowBuilder row = {};
    add_datum(&row, uuid_of(job.request));
    if (job.request.backup_id[0] != '\0')
        add_text(&row, job.request.backup_id);
    else
        add_null(&row);
    add_text(&row, job.kind == JobKind::kIntegrity     ? "integrity"
                   : job.kind != JobKind::kRestoreTest ? "verification"
                   : job.request.drill                 ? "drill"
                                                       : "restore_test");
    add_text(&row, p.phase);
    add_text(&row, p.doing);
    add_number(&row, p.done);
    add_number(&row, p.total);
    add_time(&row, job.requested_at);
    add_time(&row, p.updated_at);
    add_datum(&row, BoolGetDatum(job.cancel_requested));
    if (job.worker_pid != 0)
        add_datum(&row, Int32GetDatum(job.worker_pid));
    else
        add_null(&row);
    emit(fcinfo, row);
}

}  // namespace
}  // namespace ark

/// ark.start_restore_test(p_backup_id text, p_options jsonb) RETURNS uuid
ARK_AUDITED_FUNCTION(pg_ark_start_restore_test, "start_restore_test") {
    ark::require_loaded_here();
    const ark::JobRequest* request = ark::test_request(fcinfo, true);
    (void)ark::launch_test(ark::JobKind::kRestoreTest, *request, ark::TestWait::kForRow);
    PG_RETURN_DATUM(ark::uuid_of(*request));
}

/// ark.test_backup_restoration(p_backup_id text) RETURNS boolean
ARK_AUDITED_FUNCTION(pg_ark_test_backup_restoration, "test_backup_restoration") {
    ark::require_loaded_here();
    const ark::JobRequest* request = ark::test_request(fcinfo, false);
    PG_RETURN_BOOL(ark::launch_test(ark::JobKind::kRestoreTest, *request, ark::TestWait::kForEnd) ==
                   ark::Verdict::kGood);
}

/// ark.restore_test(p_backup_id text, p_options jsonb, INOUT p_test_id uuid, INOUT p_success
/// boolean)
ARK_AUDITED_FUNCTION(pg_ark_restore_test, "restore_test") {
    ark::require_loaded_here();
    ark::require_own_transactions(fcinfo, "ark.restore_test", "test", "ark.start_restore_test",
                                  "ark.backup_tests");
    const ark::JobRequest* request = ark::test_request(fcinfo, true);
    SPI_connect_ext(SPI_OPT_NONATOMIC);
    const ark::Verdict verdict =
        ark::launch_test(ark::JobKind::kRestoreTest, *request, ark::TestWait::kForEndOpen);
    SPI_finish();
    return ark::test_row(fcinfo, *request, verdict);
}

/// ark.start_drill(p_backup_id text, p_target text, p_options jsonb) RETURNS uuid
ARK_AUDITED_FUNCTION(pg_ark_start_drill, "start_drill") {
    ark::require_loaded_here();
    const ark::JobRequest* request = ark::drill_request(fcinfo);
    (void)ark::launch_test(ark::JobKind::kRestoreTest, *request, ark::TestWait::kForRow);
    PG_RETURN_DATUM(ark::uuid_of(*request));
}

/// ark.drill(p_backup_id text, p_target text, p_options jsonb, INOUT p_test_id uuid, INOUT
/// p_success boolean)
ARK_AUDITED_FUNCTION(pg_ark_drill, "drill") {
    ark::require_loaded_here();
    ark::require_own_transactions(fcinfo, "ark.drill", "drill", "ark.start_drill",
                                  "ark.backup_tests");
    const ark::JobRequest* request = ark::drill_request(fcinfo);
    SPI_connect_ext(SPI_OPT_NONATOMIC);
    const ark::Verdict verdict =
        ark::launch_test(ark::JobKind::kRestoreTest, *request, ark::TestWait::kForEndOpen);
    SPI_finish();
    return ark::test_row(fcinfo, *request, verdict);
}

/// ark.verify_backup(p_backup_id text, p_options jsonb) RETURNS uuid
ARK_AUDITED_FUNCTION(pg_ark_verify_backup, "verify_backup") {
    ark::require_loaded_here();
    PG_RETURN_DATUM(ark::verification(fcinfo, false));
}

/// ark.audit_backup(p_backup_id text, p_options jsonb) RETURNS uuid
ARK_AUDITED_FUNCTION(pg_ark_audit_backup, "audit_backup") {
    ark::require_loaded_here();
    PG_RETURN_DATUM(ark::verification(fcinfo, true));
}

/// ark.cancel_restore_test(p_test_id uuid) RETURNS boolean
ARK_AUDITED_FUNCTION(pg_ark_cancel_restore_test, "cancel_restore_test") {
    ark::require_loaded_here();
    if (PG_ARGISNULL(0))
        ereport(ERROR,
                (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("p_test_id must not be null"),
                 errhint("Running tests are in ark.test_progress.")));
    const char* id = DatumGetCString(DirectFunctionCall1(uuid_out, PG_GETARG_DATUM(0)));
    const ark::JobView job = ark::job_of_test(id);
    // One of integrity checks is not a backup's.
    if (job.found && job.kind != ark::JobKind::kIntegrity) {
        ark::audit_accepted(id, nullptr);
        if (ark::job_cancel(job.ref))
            PG_RETURN_BOOL(true);
    }
    if (!ark::test_is_known(id))
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("test \"%s\" does not exist", id),
                        errhint("The tests are in ark.backup_tests, verifications in "
                                "ark.backup_verification.")));
    if (!job.found)
        ark::audit_accepted(id, "it had ended");
    PG_RETURN_BOOL(false);
}

/// ark.running_tests() RETURNS TABLE (...)
ARK_SQL_FUNCTION(pg_ark_running_tests) {
    ark::require_loaded_here();
    InitMaterializedSRF(fcinfo, 0);
    // Copied first: storing rows may throw, and takes memory.
    const ark::Job* jobs = ark::copy_of_jobs();
    for (int i = 0; i < ark::kJobSlots; i++) {
        if (ark::is_test(jobs[i].kind) && jobs[i].state != ark::JobState::kFree &&
            jobs[i].state != ark::JobState::kEnded)
            ark::emit_test(fcinfo, jobs[i]);
    }
    return Datum(0);
}
