// Scheduled drills, for SQL.
#include "server/audit_call.hpp"
#include "server/drill_options.hpp"
#include "server/preconditions.hpp"
#include "server/sql_call.hpp"

extern "C" {
#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

const char* text_argument(FunctionCallInfo fcinfo, int n) {
    return PG_ARGISNULL(n) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

[[noreturn]] void refuse(const char* message, const char* hint) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg_internal("%s", message),
                    errhint("%s", hint)));
    pg_unreachable();
}

const char* required_name(FunctionCallInfo fcinfo) {
    const char* name = text_argument(fcinfo, 0);
    if (name == nullptr || name[0] == '\0')
        refuse("p_name must not be empty", "Name the drill, for example 'monthly'.");
    return name;
}

void check_schedule(const char* schedule) {
    constexpr char kHint[] =
        "It is daily, weekly, monthly, quarterly, or an interval of an hour or more.";
    if (schedule == nullptr)
        refuse("p_schedule must not be null", kHint);
    sql("SELECT ark.schedule_interval($1) OPERATOR(pg_catalog.>=) interval '1 hour' AND "
        "pg_catalog.isfinite(ark.schedule_interval($1))",
        schedule);
    if (strcmp(result(0, 1), "t") != 0)
        refuse(psprintf("\"%s\" is no schedule for drills", schedule), kHint);
}

void check_target(const char* target, const char* backup) {
    if (target == nullptr || backup == nullptr)
        refuse("p_target and p_backup must not be null",
               "The defaults are 'consistency' and 'newest'.");
    const bool by_backup = strcmp(target, "consistency") == 0 || strcmp(target, "latest") == 0;
    if (strcmp(backup, "newest") == 0)
        return;
    if (strcmp(backup, "oldest") != 0 && strcmp(backup, "random") != 0)
        refuse(psprintf("\"%s\" is no way to choose a backup", backup),
               "It is newest, oldest or random.");
    if (!by_backup)
        refuse(psprintf("target \"%s\" chooses the backup itself", target),
               "Leave out p_backup, or use the target consistency or latest.");
}

// What ark.start_drill would refuse is refused now.
const char* options_argument(FunctionCallInfo fcinfo, const char* target) {
    auto* request = static_cast<JobRequest*>(palloc0(sizeof(JobRequest)));
    take_drill_target(request, target);
    if (PG_ARGISNULL(4))
        return "{}";
    Jsonb* options = PG_GETARG_JSONB_P(4);
    if (!JB_ROOT_IS_OBJECT(options))
        refuse("p_options must be a JSON object", "They are the options of ark.start_drill.");
    take_drill_options(request, options);
    return JsonbToCString(nullptr, &options->root, VARSIZE(options));
}

const char* time_argument(FunctionCallInfo fcinfo, int n) {
    if (PG_ARGISNULL(n))
        return nullptr;
    const TimestampTz time = PG_GETARG_TIMESTAMPTZ(n);
    if (TIMESTAMP_NOT_FINITE(time))
        refuse("p_first_run must be a time", "Leave it out for the next 02:00.");
    return DatumGetCString(DirectFunctionCall1(timestamptz_out, TimestampTzGetDatum(time)));
}

bool changed = false;

void on_transaction_end(XactEvent event, void*) {
    if (event == XACT_EVENT_COMMIT && changed)
        request_schedule();
    if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT)
        changed = false;
}

// Before that the launcher would not see the row.
void request_schedule_at_commit() {
    static bool registered = false;
    if (!registered)
        RegisterXactCallback(on_transaction_end, nullptr);
    registered = true;
    changed = true;
}

constexpr char kSchedule[] = R"sql(
INSERT INTO ark.drills AS d (name, schedule, target, backup, options, first_run, timezone, enabled, created_by, next_run)
SELECT $1, $2, $3, $4, $5::jsonb, f.first, $7, $8::bool, $9, ark.next_drill_run(f.first, $2, $7, clock_timestamp())
FROM (SELECT COALESCE($6::timestamptz, (SELECT o.first_run FROM ark.drills AS o WHERE o.name = $1),
                      (date_trunc('day', l.now) + CASE WHEN l.now >= date_trunc('day', l.now) + interval '2 hours'
                       THEN interval '1 day 2 hours' ELSE interval '2 hours' END) AT TIME ZONE $7) AS first
      FROM (SELECT clock_timestamp() AT TIME ZONE $7 AS now) AS l) AS f
ON CONFLICT (name) DO UPDATE SET schedule = excluded.schedule, target = excluded.target, backup = excluded.backup,
    options = excluded.options, first_run = excluded.first_run, timezone = excluded.timezone, enabled = excluded.enabled,
    next_run = excluded.next_run, retry_at = NULL, failures = 0
RETURNING next_run
)sql";

}  // namespace
}  // namespace ark

/// ark.schedule_drill(p_name, p_schedule, p_target, p_backup, p_options, p_first_run, p_enabled)
/// RETURNS timestamptz
ARK_AUDITED_FUNCTION(pg_ark_schedule_drill, "schedule_drill") {
    ark::require_loaded_here();
    const char* name = ark::required_name(fcinfo);
    const char* schedule = ark::text_argument(fcinfo, 1);
    const char* target = ark::text_argument(fcinfo, 2);
    const char* backup = ark::text_argument(fcinfo, 3);
    const char* options = ark::options_argument(fcinfo, target);
    const char* first = ark::time_argument(fcinfo, 5);
    const bool enabled = PG_ARGISNULL(6) || PG_GETARG_BOOL(6);
    const char* zone = GetConfigOption("timezone", false, false);
    const char* role = GetUserNameFromId(GetUserId(), false);
    const ark::Lookup lookup = ark::begin_lookup();
    ark::check_schedule(schedule);
    ark::check_target(target, backup);
    ark::audit_accepted(name, psprintf("%s, %s", schedule, enabled ? "enabled" : "disabled"));
    ark::sql(ark::kSchedule, name, schedule, target, backup, options, first, zone,
             enabled ? "t" : "f", role);
    bool is_null = false;
    const Datum next = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null);
    ark::end_lookup(lookup);
    ark::request_schedule_at_commit();
    if (is_null)
        PG_RETURN_NULL();
    PG_RETURN_DATUM(next);
}

/// ark.unschedule_drill(p_name text) RETURNS boolean
ARK_AUDITED_FUNCTION(pg_ark_unschedule_drill, "unschedule_drill") {
    ark::require_loaded_here();
    const char* name = ark::required_name(fcinfo);
    ark::audit_accepted(name, nullptr);
    const ark::Lookup lookup = ark::begin_lookup();
    const uint64 rows = ark::sql("DELETE FROM ark.drills WHERE name = $1", name);
    ark::end_lookup(lookup);
    PG_RETURN_BOOL(rows > 0);
}
