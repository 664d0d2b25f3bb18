#include "server/test_rows.hpp"

#include <unistd.h>

#include "server/audit_rows.hpp"
#include "server/scratch.hpp"
#include "server/sql_call.hpp"

extern "C" {
#include "utils/guc.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

const char* or_null(const char* text) {
    return text == nullptr || text[0] == '\0' ? nullptr : text;
}

// "host, PostgreSQL version, scratch directory"
char* environment() {
    char host[256] = "unknown host";
    if (gethostname(host, sizeof(host) - 1) != 0)
        strlcpy(host, "unknown host", sizeof(host));
    return psprintf("%s, PostgreSQL %s, %s", host, GetConfigOption("server_version", false, false),
                    scratch_directory());
}

// Of the evidence `e`, what whoever may see tests may see: ark.backup_tests is read by more roles
// than the tables are. What shows their data (samples, what the server quotes, answers) is in
// ark.integrity_results, which is not.
#define SHOWN_ERRORS                                                                             \
    "(SELECT COALESCE(pg_catalog.jsonb_agg(CASE WHEN f->>'check' IN ('integrity', "              \
    "'critical_function') THEN (f - '{detail,hint}'::pg_catalog.text[]) || "                     \
    "pg_catalog.jsonb_build_object('hint', 'ark.integrity_results has what was found.') ELSE f " \
    "END ORDER BY n), '[]') FROM pg_catalog.jsonb_array_elements(e->'errors') WITH ORDINALITY "  \
    "AS finding (f, n))"
#define SHOWN_VERIFIED                                                                           \
    "CASE WHEN pg_catalog.jsonb_typeof(e->'verified'->'checks') = 'array' THEN "                 \
    "pg_catalog.jsonb_set(e->'verified', '{checks}', (SELECT COALESCE(pg_catalog.jsonb_agg(c - " \
    "'{samples,error}'::pg_catalog.text[] || CASE WHEN c->>'status' = 'skipped' THEN "           \
    "pg_catalog.jsonb_build_object('error', c->'error') WHEN c->'error' OPERATOR(pg_catalog.?) " \
    "'sqlstate' THEN pg_catalog.jsonb_build_object('error', pg_catalog.jsonb_build_object("      \
    "'sqlstate', c->'error'->'sqlstate')) ELSE '{}' END ORDER BY n), '[]') FROM "                \
    "pg_catalog.jsonb_array_elements(e->'verified'->'checks') WITH ORDINALITY AS checked (c, "   \
    "n))) ELSE e->'verified' END"

// What the users' checks gave has rows of its own.
void keep_checks(const char* test_id, const char* evidence) {
    if (sql("SELECT 1 WHERE pg_catalog.to_regprocedure('ark.keep_check_results(uuid,text,jsonb)') "
            "IS NOT NULL AND $1::pg_catalog.jsonb->'verified' OPERATOR(pg_catalog.?) 'checks'",
            evidence) == 1)
        sql("SELECT ark.keep_check_results($1::pg_catalog.uuid, e->>'backup_id', "
            "e->'verified'->'checks') FROM (SELECT $2::pg_catalog.jsonb AS e) AS evidence",
            test_id, evidence);
}

void complete_test(const JobRequest& request, const char* evidence) {
    sql("UPDATE ark.backup_tests SET completed_at = pg_catalog.clock_timestamp(), "
        "backup_id = COALESCE(NULLIF(e->>'backup_id', ''), backup_id), "
        "success = (e->>'success')::pg_catalog.bool, errors = " SHOWN_ERRORS
        ", data_verified = " SHOWN_VERIFIED
        ", notes = NULLIF(pg_catalog.concat_ws(E'\\n', notes, "
        "CASE WHEN (e->>'error_count')::pg_catalog.int8 > pg_catalog.jsonb_array_length("
        "e->'errors') THEN pg_catalog.format('%s errors were found, the first of them are kept', "
        "e->>'error_count') END, "
        "(SELECT pg_catalog.string_agg(ark.marker_text(note), E'\\n') FROM "
        "pg_catalog.jsonb_array_elements(e->'notes') AS note)), '') "
        "FROM (SELECT $2::pg_catalog.jsonb AS e) AS evidence WHERE id = $1::pg_catalog.uuid",
        request.test_id, evidence);
    sql("INSERT INTO ark.backup_verification (backup_id, verification_type, success, details, "
        "verified_by) SELECT COALESCE(NULLIF(e->>'backup_id', ''), $1), 'restore_test', "
        "(e->>'success')::pg_catalog.bool, "
        "pg_catalog.jsonb_build_object('test_id', $2, 'error_count', e->'error_count'), "
        "$4::pg_catalog.uuid FROM (SELECT $3::pg_catalog.jsonb AS e) AS evidence",
        request.backup_id, request.test_id, evidence, or_null(request.created_by));
    keep_checks(request.test_id, evidence);
}

void complete_verification(const JobRequest& request, const char* evidence) {
    sql("UPDATE ark.backup_verification SET verification_date = pg_catalog.clock_timestamp(), "
        "success = (e->>'success')::pg_catalog.bool, details = pg_catalog.jsonb_strip_nulls("
        "(e->'verified') || pg_catalog.jsonb_build_object('errors', e->'errors', 'error_count', "
        "e->'error_count', 'notes', NULLIF(pg_catalog.concat_ws(E'\\n', details->>'notes', "
        "(SELECT pg_catalog.string_agg(ark.marker_text(note), E'\\n') FROM "
        "pg_catalog.jsonb_array_elements(e->'notes') AS note)), ''))) "
        "FROM (SELECT $2::pg_catalog.jsonb AS e) AS evidence WHERE id = $1::pg_catalog.uuid",
        request.test_id, evidence);
}

// Whether the row had no end yet.
bool write_failure(JobKind kind, const char* test_id, const TestFailure& failure) {
    sql("SELECT pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('sqlstate', $1, "
        "'message', $2, 'detail', $3, 'hint', $4, 'phase', $5))",
        unpack_sql_state(failure.sqlstate), failure.message, or_null(failure.detail),
        or_null(failure.hint), or_null(failure.phase));
    const char* error = result(0, 1);
    const char* note = psprintf("nothing is known about the backup: %s", failure.message);
    if (kind == JobKind::kRestoreTest)
        return sql("UPDATE ark.backup_tests SET completed_at = pg_catalog.clock_timestamp(), "
                   "errors = pg_catalog.jsonb_build_array($2::pg_catalog.jsonb), notes = "
                   "pg_catalog.concat_ws(E'\\n', notes, $3) WHERE id = $1::pg_catalog.uuid AND "
                   "completed_at IS NULL",
                   test_id, error, note) > 0;
    return sql("UPDATE ark.backup_verification SET verification_date = "
               "pg_catalog.clock_timestamp(), details = pg_catalog.jsonb_build_object('error', "
               "$2::pg_catalog.jsonb, 'notes', pg_catalog.concat_ws(E'\\n', details->>'notes', "
               "$3)) WHERE id = $1::pg_catalog.uuid AND details->>'in_progress' = 'true'",
               test_id, error, note) > 0;
}

}  // namespace

const char kOpenTests[] = "SELECT id FROM ark.backup_tests WHERE completed_at IS NULL";
const char kOpenVerifications[] =
    "SELECT id FROM ark.backup_verification WHERE details->>'in_progress' = 'true'";

void insert_test_row(JobKind kind, const JobRequest& request, TimestampTz started_at) {
    if (kind == JobKind::kRestoreTest)
        sql("INSERT INTO ark.backup_tests (id, backup_id, test_type, test_environment, started_at, "
            "tested_by, notes) VALUES ($1::pg_catalog.uuid, $2, $7, $3, "
            "$4::pg_catalog.timestamptz, $5::pg_catalog.uuid, $6)",
            request.test_id, or_null(request.backup_id), environment(),
            timestamptz_to_str(started_at), or_null(request.created_by), or_null(request.reason),
            request.drill ? "drill" : "restore_test");
    else
        sql("INSERT INTO ark.backup_verification (id, backup_id, verification_type, "
            "verification_date, details, verified_by) VALUES ($1::pg_catalog.uuid, $2, $6, "
            "$3::pg_catalog.timestamptz, pg_catalog.jsonb_strip_nulls("
            "pg_catalog.jsonb_build_object('in_progress', true, 'notes', $5)), "
            "$4::pg_catalog.uuid)",
            request.test_id, request.backup_id, timestamptz_to_str(started_at),
            or_null(request.created_by), or_null(request.reason),
            request.audits_changes ? "change_audit" : "checksum");
    insert_audit_accepted(request);
}

void complete_test_row(JobKind kind, const JobRequest& request, const char* evidence) {
    if (kind == JobKind::kRestoreTest)
        complete_test(request, evidence);
    else
        complete_verification(request, evidence);
    sql("SELECT CASE WHEN ($1::pg_catalog.jsonb->>'success')::pg_catalog.bool THEN 'nothing wrong "
        "was found' ELSE 'damage was found' END",
        evidence);
    insert_audit_end(request.test_id, "completed", 0, result(0, 1));
}

bool adopt_evidence(const char* evidence) {
    if (sql("INSERT INTO ark.backup_tests (id, backup_id, test_type, test_environment, started_at, "
            "completed_at, success, errors, data_verified, notes) SELECT "
            "(e->>'test_id')::pg_catalog.uuid, e->>'backup_id', e->>'kind', "
            "pg_catalog.format('%s, pg_ark drill %s', ark.marker_text(e->'host'), "
            "e->>'program_version'), (e->>'started_at')::pg_catalog.timestamptz, "
            "(e->>'completed_at')::pg_catalog.timestamptz, "
            "(e->>'success')::pg_catalog.bool, " SHOWN_ERRORS ", " SHOWN_VERIFIED
            ", NULLIF(pg_catalog.concat_ws(E'\\n', CASE WHEN "
            "(e->>'error_count')::pg_catalog.int8 > pg_catalog.jsonb_array_length(e->'errors') "
            "THEN pg_catalog.format('%s errors were found, the first of them are kept', "
            "e->>'error_count') END, (SELECT pg_catalog.string_agg(ark.marker_text(note), "
            "E'\\n') FROM pg_catalog.jsonb_array_elements(e->'notes') AS note)), '') "
            "FROM (SELECT $1::pg_catalog.jsonb AS e) AS evidence WHERE e->>'kind' IN "
            "('restore_test', 'drill') ON CONFLICT (id) DO NOTHING",
            evidence) == 0)
        return false;
    sql("INSERT INTO ark.backup_verification (backup_id, verification_type, verification_date, "
        "success, details) SELECT e->>'backup_id', 'restore_test', "
        "(e->>'completed_at')::pg_catalog.timestamptz, (e->>'success')::pg_catalog.bool, "
        "pg_catalog.jsonb_build_object('test_id', e->'test_id', 'error_count', e->'error_count', "
        "'host', ark.marker_text(e->'host')) FROM (SELECT $1::pg_catalog.jsonb AS e) AS evidence",
        evidence);
    sql("SELECT e->>'test_id' FROM (SELECT $1::pg_catalog.jsonb AS e) AS evidence", evidence);
    keep_checks(result(0, 1), evidence);
    return true;
}

bool fail_test_row(JobKind kind, const char* test_id, const TestFailure& failure) {
    const bool had_none = write_failure(kind, test_id, failure);
    if (had_none)
        insert_audit_end(test_id,
                         failure.sqlstate == ERRCODE_QUERY_CANCELED ? "cancelled" : "failed",
                         failure.sqlstate, failure.message);
    return had_none;
}

}  // namespace ark
