#include "server/integrity_rows.hpp"

#include "server/audit_rows.hpp"
#include "server/settings.hpp"
#include "server/sql_call.hpp"

extern "C" {
#include "utils/timestamp.h"
}

namespace ark {
namespace {

const char* or_null(const char* text) {
    return text == nullptr || text[0] == '\0' ? nullptr : text;
}

const char* error_json(int sqlstate, const char* message, const char* detail, const char* hint) {
    if (message == nullptr)
        return nullptr;
    sql("SELECT pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('sqlstate', $1, "
        "'message', $2, 'detail', $3, 'hint', $4))",
        sqlstate == 0 ? nullptr : unpack_sql_state(sqlstate), message, or_null(detail),
        or_null(hint));
    return ark::result(0, 1);
}

}  // namespace

const char kOpenIntegrityRuns[] = "SELECT id FROM ark.integrity_runs WHERE status = 'running'";

void insert_integrity_run(const JobRequest& request, TimestampTz started_at) {
    sql("INSERT INTO ark.integrity_runs (id, category, options, requested_by, started_at, status) "
        "VALUES ($1::pg_catalog.uuid, $2, $3::pg_catalog.jsonb, $4, $5::pg_catalog.timestamptz, "
        "'running')",
        request.test_id, or_null(request.category), or_null(request.reason), request.role,
        timestamptz_to_str(started_at));
    insert_audit_accepted(request);
}

void insert_integrity_result(const IntegrityResult& r) {
    const bool counted = strcmp(r.status, "passed") == 0 || strcmp(r.status, "failed") == 0;
    sql("INSERT INTO ark.integrity_results (run_id, check_name, category, severity, object, "
        "environment, database, started_at, duration, status, violations, "
        "violations_is_lower_bound, samples, error) VALUES ($1::pg_catalog.uuid, $2, $3, $4, $5, "
        "'live', $6, $7::pg_catalog.timestamptz, pg_catalog.make_interval(secs => "
        "$8::pg_catalog.float8 / 1000), $9, $10::pg_catalog.int8, $11::pg_catalog.bool, "
        "$12::pg_catalog.jsonb, $13::pg_catalog.jsonb)",
        r.run_id, r.check, r.category, r.severity, r.object, r.database,
        timestamptz_to_str(r.started_at), number_text(static_cast<uint64>(r.ms)), r.status,
        counted ? number_text(r.violations) : nullptr, r.more ? "true" : "false",
        or_null(r.samples), error_json(r.sqlstate, r.message, r.detail, r.hint));
}

void complete_integrity_run(const char* run_id) {
    sql("UPDATE ark.integrity_runs SET completed_at = pg_catalog.clock_timestamp(), status = "
        "'completed', success = found.bad = 0, checks = found.checks, passed = found.passed, "
        "failed = found.failed, errors = found.errors, skipped = found.skipped FROM (SELECT "
        "pg_catalog.count(*) AS checks, pg_catalog.count(*) FILTER (WHERE status = 'passed') AS "
        "passed, pg_catalog.count(*) FILTER (WHERE status = 'failed') AS failed, "
        "pg_catalog.count(*) FILTER (WHERE status = 'error') AS errors, pg_catalog.count(*) FILTER "
        "(WHERE status = 'skipped') AS skipped, pg_catalog.count(*) FILTER (WHERE status IN "
        "('failed', 'error') AND severity IN ('error', 'critical')) AS bad FROM "
        "ark.integrity_results WHERE run_id = $1::pg_catalog.uuid) AS found WHERE id = "
        "$1::pg_catalog.uuid RETURNING pg_catalog.format('%s checks: %s passed, %s failed, %s "
        "could not run, %s skipped', integrity_runs.checks, integrity_runs.passed, "
        "integrity_runs.failed, integrity_runs.errors, integrity_runs.skipped)",
        run_id);
    insert_audit_end(run_id, "completed", 0, result(0, 1));
}

bool fail_integrity_run(const char* run_id, int sqlstate, const char* message, const char* hint) {
    const bool cancelled = sqlstate == ERRCODE_QUERY_CANCELED;
    const char* error = error_json(sqlstate, message, nullptr, hint);
    const bool had_none =
        sql("UPDATE ark.integrity_runs SET completed_at = pg_catalog.clock_timestamp(), status = "
            "$2, error = $3::pg_catalog.jsonb WHERE id = $1::pg_catalog.uuid AND status = "
            "'running'",
            run_id, cancelled ? "cancelled" : "failed", error) > 0;
    if (had_none)
        insert_audit_end(run_id, cancelled ? "cancelled" : "failed", sqlstate, message);
    return had_none;
}

void expire_integrity_results() {
    if (settings.integrity_retention_days == 0)
        return;
    const char* days = number_text(static_cast<uint64>(settings.integrity_retention_days));
    sql("DELETE FROM ark.integrity_results WHERE started_at < pg_catalog.clock_timestamp() - "
        "pg_catalog.make_interval(days => $1::pg_catalog.int4)",
        days);
    sql("DELETE FROM ark.integrity_runs WHERE status <> 'running' AND started_at < "
        "pg_catalog.clock_timestamp() - pg_catalog.make_interval(days => $1::pg_catalog.int4)",
        days);
}

}  // namespace ark
