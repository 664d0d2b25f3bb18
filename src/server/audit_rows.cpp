#include "server/audit_rows.hpp"

#include "server/audit_spool.hpp"
#include "server/settings.hpp"
#include "server/sql_call.hpp"

extern "C" {
#include "access/xact.h"
#include "miscadmin.h"
}

namespace ark {
namespace {

const char* or_null(const char* text) {
    return text == nullptr || text[0] == '\0' ? nullptr : text;
}

bool rows_in_this_transaction = false;

// The repository gets them once they can be seen.
void on_transaction_end(XactEvent event, void*) {
    if (!rows_in_this_transaction)
        return;
    if (event == XACT_EVENT_COMMIT)
        request_audit();
    if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT)
        rows_in_this_transaction = false;
}

void note_rows() {
    static bool registered = false;
    if (!registered)
        RegisterXactCallback(on_transaction_end, nullptr);
    registered = true;
    rows_in_this_transaction = true;
}

}  // namespace

void insert_audit_accepted(const JobRequest& request) {
    const AuditActor& actor = request.actor;
    const bool is_backup = request.test_id[0] == '\0';
    sql("INSERT INTO ark.audit_log (act, outcome, target, backup_id, session_role, acting_role, "
        "client, application, backend, pid) VALUES ($1, 'accepted', $2, $3, $4, $5, $6, $7, $8, "
        "$9::pg_catalog.int4)",
        or_null(request.act) != nullptr ? request.act : "start_backup",
        is_backup ? request.backup_id : request.test_id, or_null(request.backup_id),
        or_null(actor.session_role), or_null(actor.acting_role), or_null(actor.client),
        or_null(actor.application), or_null(actor.backend),
        actor.pid == 0 ? nullptr : number_text(static_cast<uint64>(actor.pid)));
    note_rows();
}

void insert_audit_end(const char* target, const char* outcome, int sqlstate, const char* message) {
    sql("INSERT INTO ark.audit_log (act, outcome, target, backup_id, session_role, acting_role, "
        "client, application, backend, pid, sqlstate, message) "
        "SELECT act, $2, target, backup_id, session_role, acting_role, client, application, "
        "backend, pid, $3, $4 FROM ark.audit_log AS begun WHERE target = $1 AND "
        "outcome = 'accepted' AND (backup_id IS NOT NULL OR act IN ('run_integrity_checks', "
        "'check_integrity')) AND NOT EXISTS (SELECT FROM ark.audit_log "
        "AS ended WHERE ended.target = $1 AND ended.outcome = $2) ORDER BY at LIMIT 1",
        target, outcome, sqlstate == 0 ? nullptr : unpack_sql_state(sqlstate), or_null(message));
    note_rows();
}

void insert_audit_lines(const char* lines) {
    sql("INSERT INTO ark.audit_log (id, at, act, outcome, target, backup_id, session_role, "
        "acting_role, client, application, backend, pid, sqlstate, message, times) "
        "SELECT pg_catalog.min(e->>'id')::pg_catalog.uuid, pg_catalog.to_timestamp("
        "pg_catalog.min((e->>'at')::pg_catalog.int8) / 1000000.0), act, outcome, target, "
        "backup_id, session_role, acting_role, client, application, backend, "
        "pg_catalog.min((e->>'pid')::pg_catalog.int4), sqlstate, message, pg_catalog.count(*) "
        "FROM pg_catalog.string_to_table($1, E'\n') AS line, "
        "LATERAL (SELECT line::pg_catalog.jsonb AS e) AS parsed, "
        "LATERAL (SELECT e->>'act' AS act, e->>'outcome' AS outcome, e->>'target' AS target, "
        "e->>'backup_id' AS backup_id, e->>'session_role' AS session_role, "
        "COALESCE(e->>'acting_role', pg_catalog.pg_get_userbyid("
        "(e->>'doubtful_role')::pg_catalog.oid)) AS acting_role, e->>'client' AS client, "
        "e->>'application' AS application, e->>'backend' AS backend, e->>'sqlstate' AS sqlstate, "
        "e->>'message' AS message, (e->>'doubtful_role')::pg_catalog.oid AS doubtful) AS entry "
        // A crash of the operating system may leave the last line short.
        "WHERE line LIKE '{%}' "
        // PostgreSQL said no without naming a schema: ours it was where the role lacks the right.
        "AND (doubtful IS NULL OR ((e->>'database')::pg_catalog.oid = $2::pg_catalog.oid AND "
        "(act = 'access' OR EXISTS (SELECT FROM pg_catalog.pg_proc WHERE proname = act AND "
        "pronamespace = 'ark'::pg_catalog.regnamespace AND NOT ("
        "pg_catalog.has_schema_privilege(doubtful, pronamespace, 'USAGE') AND "
        "pg_catalog.has_function_privilege(doubtful, pg_proc.oid, 'EXECUTE')))))) "
        "GROUP BY act, outcome, target, backup_id, session_role, acting_role, client, "
        "application, backend, sqlstate, message, "
        "CASE WHEN outcome <> 'refused' THEN e->>'id' END "
        "ON CONFLICT (id) DO NOTHING",
        lines, number_text(MyDatabaseId));
}

void insert_audit_loss(uint64 entries) {
    sql("INSERT INTO ark.audit_log (act, outcome, message, times) VALUES ('audit', 'lost', "
        "'there was no room to keep these entries, or they could not be read', "
        "$1::pg_catalog.int8)",
        number_text(entries));
}

void expire_audit_rows(bool mirrored_only) {
    if (settings.audit_retention_days == 0)
        return;
    sql("DELETE FROM ark.audit_log WHERE at < pg_catalog.clock_timestamp() - "
        "pg_catalog.make_interval(days => $1::pg_catalog.int4) "
        "AND (mirrored_at IS NOT NULL OR NOT $2::pg_catalog.bool)",
        number_text(static_cast<uint64>(settings.audit_retention_days)),
        mirrored_only ? "true" : "false");
}

}  // namespace ark
