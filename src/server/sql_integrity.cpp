// Runs of integrity checks, for SQL.
#include "server/audit_call.hpp"
#include "server/job_options.hpp"
#include "server/launch_test.hpp"
#include "server/preconditions.hpp"
#include "server/sql_call.hpp"
#include "server/sql_rows.hpp"
#include "server/wait_notice.hpp"

extern "C" {
#include "access/htup_details.h"
#include "access/xlog.h"
#include "executor/spi.h"
#include "utils/uuid.h"
}

namespace ark {
namespace {

constexpr char kKnownOptions[] = "The options are checks, database and notes.";

void require_run_preconditions() {
    if (RecoveryInProgress())
        ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
                        errmsg("a standby cannot run integrity checks"),
                        errdetail("The server is in recovery, and could not keep the results."),
                        errhint("Connect to the primary server.")));
    for (int i = 0; i < kPreconditionCount; i++) {
        if (strcmp(kPreconditions[i].name, "launcher") != 0)
            continue;
        const Problem problem = kPreconditions[i].check();
        if (problem.message != nullptr)
            ereport(ERROR,
                    (errcode(problem.sqlstate), errmsg_internal("%s", problem.message),
                     problem.detail != nullptr ? errdetail_internal("%s", problem.detail) : 0,
                     problem.hint != nullptr ? errhint("%s", problem.hint) : 0));
    }
}

void take_category(FunctionCallInfo fcinfo, JobRequest* request) {
    constexpr const char* kCategories[] = {"referential", "isolation",   "validation",
                                           "consistency", "performance", "custom"};
    if (PG_ARGISNULL(0))
        return;
    const char* category = text_to_cstring(PG_GETARG_TEXT_PP(0));
    for (const char* known : kCategories) {
        if (strcmp(category, known) == 0)
            strlcpy(request->category, known, sizeof(request->category));
    }
    if (request->category[0] == '\0')
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("unknown category \"%s\"", category),
                        errhint("It is referential, isolation, validation, consistency, "
                                "performance or custom; null: all.")));
}

struct Wanted {
    List* checks;
};

bool take_run_option(void* target, const char* key, const JsonbValue& value) {
    auto* wanted = static_cast<Wanted*>(target);
    if (strcmp(key, "checks") == 0)
        wanted->checks = texts_option(key, value);
    else if (strcmp(key, "database") == 0 || strcmp(key, "notes") == 0)
        (void)any_text_option(key, value);
    else
        return false;
    return true;
}

// A name that is misspelt must not look like a check that passed.
void require_checks(const List* names) {
    const Lookup lookup = begin_lookup();
    ListCell* cell;
    foreach (cell, names) {
        const char* name = static_cast<const char*>(lfirst(cell));
        if (sql("SELECT FROM ark.integrity_checks WHERE name = $1", name) == 0)
            ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
                            errmsg("integrity check \"%s\" does not exist", name),
                            errhint("The checks are in ark.integrity_checks.")));
    }
    end_lookup(lookup);
}

// The worker reads the options as they are.
void keep_options(Jsonb* options, JobRequest* request) {
    const char* text = JsonbToCString(nullptr, &options->root, static_cast<int>(VARSIZE(options)));
    if (strlen(text) >= sizeof(request->reason))
        ereport(ERROR,
                (errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION), errmsg("p_options is too long"),
                 errdetail("It has %zu bytes, and may have %zu.", strlen(text),
                           sizeof(request->reason) - 1)));
    strlcpy(request->reason, text, sizeof(request->reason));
}

JobRequest* run_request(FunctionCallInfo fcinfo) {
    require_run_preconditions();
    JobRequest* request = new_test_request("");
    take_category(fcinfo, request);
    if (PG_ARGISNULL(1))
        return request;
    Jsonb* options = PG_GETARG_JSONB_P(1);
    Wanted wanted = {NIL};
    take_options(options, kKnownOptions, take_run_option, &wanted);
    require_checks(wanted.checks);
    keep_options(options, request);
    return request;
}

Datum uuid_of(const JobRequest& request) {
    return DirectFunctionCall1(uuid_in, CStringGetDatum(request.test_id));
}

Datum run_row(FunctionCallInfo fcinfo, const JobRequest& request, Verdict verdict) {
    TupleDesc descriptor = nullptr;
    if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE)
        elog(ERROR, "ark.check_integrity returns a row");
    Datum values[2] = {uuid_of(request), BoolGetDatum(verdict == Verdict::kGood)};
    bool nulls[2] = {false, false};
    return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls));
}

bool run_is_known(const char* id) {
    const Lookup lookup = begin_lookup();
    const bool known = sql("SELECT FROM ark.integrity_runs WHERE id = $1::pg_catalog.uuid", id) > 0;
    end_lookup(lookup);
    return known;
}

}  // namespace
}  // namespace ark

/// ark.run_integrity_checks(p_category text, p_options jsonb) RETURNS uuid
ARK_AUDITED_FUNCTION(pg_ark_run_integrity_checks, "run_integrity_checks") {
    ark::require_loaded_here();
    const ark::JobRequest* request = ark::run_request(fcinfo);
    (void)ark::launch_test(ark::JobKind::kIntegrity, *request, ark::TestWait::kForRow);
    PG_RETURN_DATUM(ark::uuid_of(*request));
}

/// ark.check_integrity(p_category text, p_options jsonb, INOUT p_run_id uuid, INOUT p_success
/// boolean)
ARK_AUDITED_FUNCTION(pg_ark_check_integrity, "check_integrity") {
    ark::require_loaded_here();
    ark::require_own_transactions(fcinfo, "ark.check_integrity", "run of integrity checks",
                                  "ark.run_integrity_checks", "ark.integrity_runs");
    const ark::JobRequest* request = ark::run_request(fcinfo);
    SPI_connect_ext(SPI_OPT_NONATOMIC);
    const ark::Verdict verdict =
        ark::launch_test(ark::JobKind::kIntegrity, *request, ark::TestWait::kForEndOpen);
    SPI_finish();
    return ark::run_row(fcinfo, *request, verdict);
}

/// ark.cancel_integrity_run(p_run_id uuid) RETURNS boolean
ARK_AUDITED_FUNCTION(pg_ark_cancel_integrity_run, "cancel_integrity_run") {
    ark::require_loaded_here();
    if (PG_ARGISNULL(0))
        ereport(ERROR,
                (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("p_run_id must not be null"),
                 errhint("A run that is under way is in ark.test_progress.")));
    const char* id = DatumGetCString(DirectFunctionCall1(uuid_out, PG_GETARG_DATUM(0)));
    const ark::JobView job = ark::job_of_test(id);
    const bool running = job.found && job.kind == ark::JobKind::kIntegrity;
    if (running) {
        ark::audit_accepted(id, nullptr);
        if (ark::job_cancel(job.ref))
            PG_RETURN_BOOL(true);
    }
    if (!ark::run_is_known(id))
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
                        errmsg("run \"%s\" of integrity checks does not exist", id),
                        errhint("The runs are in ark.integrity_runs.")));
    if (!running)
        ark::audit_accepted(id, "it had ended");
    PG_RETURN_BOOL(false);
}
