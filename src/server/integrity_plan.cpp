#include "server/integrity_plan.hpp"

#include "server/settings.hpp"
#include "server/sql_call.hpp"

extern "C" {
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
}

namespace ark {
namespace {

constexpr char kMakeRole[] =
    "CREATE ROLE %s LOGIN CONNECTION LIMIT 0 BYPASSRLS IN ROLE pg_read_all_data";

char* kept(MemoryContext context, uint64 row, int column) {
    const char* value = result(row, column);
    return value == nullptr ? nullptr : MemoryContextStrdup(context, value);
}

// As the worker wants it, whose database may have another encoding.
char* kept_utf8(MemoryContext context, uint64 row, int column) {
    const char* value = result(row, column);
    return value == nullptr
               ? nullptr
               : MemoryContextStrdup(
                     context, pg_server_to_any(value, static_cast<int>(strlen(value)), PG_UTF8));
}

IntegrityCheck* new_check(MemoryContext context) {
    return static_cast<IntegrityCheck*>(MemoryContextAllocZero(context, sizeof(IntegrityCheck)));
}

List* append(List* list, void* item, MemoryContext context) {
    MemoryContext old = MemoryContextSwitchTo(context);
    list = lappend(list, item);
    MemoryContextSwitchTo(old);
    return list;
}

IntegrityCheck* check_of_row(uint64 row, MemoryContext context) {
    IntegrityCheck* check = new_check(context);
    check->name = kept(context, row, 1);
    check->category = kept(context, row, 2);
    check->severity = kept(context, row, 3);
    check->threshold = strtoull(result(row, 4), nullptr, 10);
    check->database = kept(context, row, 5);
    check->sql = kept_utf8(context, row, 6);
    const char* kind = result(row, 7);
    check->ready_made = kind == nullptr ? nullptr : find_ready_made(kind);
    check->options = kept_utf8(context, row, 8);
    check->timeout_ms = static_cast<int>(strtol(result(row, 9), nullptr, 10));
    check->unreachable = kept(context, row, 10);
    check->unreachable_hint = kept(context, row, 11);
    if (kind != nullptr && check->ready_made == nullptr)
        check->skip = MemoryContextStrdup(
            context, psprintf("this version of pg_ark knows no ready-made check \"%s\"", kind));
    return check;
}

}  // namespace

void require_check_role(const char* role) {
    // What no membership, however far away, may bring.
    sql("SELECT CASE WHEN r.oid IS NULL THEN 'It does not exist.' "
        "WHEN NOT r.rolcanlogin THEN 'It may not log in.' "
        "WHEN r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication THEN 'It has one "
        "of the attributes SUPERUSER, CREATEROLE, CREATEDB and REPLICATION.' "
        "ELSE (SELECT pg_catalog.format('It is a member of %s.', pg_catalog.string_agg("
        "m.rolname, ', ' ORDER BY m.rolname)) FROM pg_catalog.pg_roles AS m WHERE m.oid <> r.oid "
        "AND pg_catalog.pg_has_role(r.oid, m.oid, 'MEMBER') AND (m.rolsuper OR m.rolcreaterole OR "
        "m.rolcreatedb OR m.rolreplication OR m.rolname IN ('pg_write_all_data', "
        "'pg_write_server_files', 'pg_read_server_files', 'pg_execute_server_program', "
        "'pg_signal_backend', 'pg_checkpoint', 'pg_maintain', 'pg_create_subscription', "
        "'pg_database_owner', 'pg_signal_autovacuum_worker', 'pg_use_reserved_connections')) "
        "HAVING pg_catalog.count(*) > 0) END, pg_catalog.quote_ident($1) "
        "FROM (SELECT $1::pg_catalog.name AS name) AS wanted LEFT JOIN pg_catalog.pg_roles AS r "
        "ON r.rolname = wanted.name",
        role);
    const char* problem = result(0, 1);
    if (problem == nullptr)
        return;
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("role \"%s\" cannot run integrity checks", role),
                    errdetail_internal("%s", problem),
                    errhint("It is to log in, to read everything and to do nothing else: %s. "
                            "pg_ark.check_role names it.",
                            psprintf(kMakeRole, result(0, 2)))));
}

List* load_checks(const JobRequest& request, const char* role, MemoryContext context) {
    const uint64 rows = sql(
        "SELECT c.name, c.category, c.severity, c.threshold, wanted.database, c.sql, c.ready_made, "
        "c.options, COALESCE(pg_catalog.round(EXTRACT(epoch FROM c.timeout) * 1000), "
        "$4::pg_catalog.int8 * 1000)::pg_catalog.int4, "
        "CASE WHEN d.oid IS NULL THEN pg_catalog.format('database \"%s\" does not exist', "
        "wanted.database) WHEN NOT d.datallowconn THEN pg_catalog.format('database \"%s\" takes no "
        "connections', d.datname) WHEN NOT pg_catalog.has_database_privilege($3, d.oid, "
        "'CONNECT') THEN pg_catalog.format('role \"%s\" may not connect to database \"%s\"', $3, "
        "d.datname) END, "
        "CASE WHEN d.oid IS NULL OR NOT d.datallowconn THEN 'Remove the check with "
        "ark.remove_integrity_check, or name another database in it.' ELSE "
        "pg_catalog.format('GRANT CONNECT ON DATABASE %I TO %I.', d.datname, $3) END "
        "FROM ark.integrity_checks AS c CROSS JOIN LATERAL (SELECT COALESCE(c.database, "
        "pg_catalog.current_database()) AS database) AS wanted LEFT JOIN pg_catalog.pg_database AS "
        "d ON d.datname = wanted.database CROSS JOIN (SELECT COALESCE($2::pg_catalog.jsonb, '{}') "
        "AS o) AS options WHERE c.enabled AND c.runs_on IN ('live', 'both') AND (c.category = $1 "
        "OR $1 IS NULL) AND (o->'checks' IS NULL OR o->'checks' ? c.name) AND (o->>'database' IS "
        "NULL OR o->>'database' = wanted.database) ORDER BY pg_catalog.array_position("
        "ARRAY['critical', 'error', 'warning', 'info'], c.severity), c.name",
        request.category[0] == '\0' ? nullptr : request.category,
        request.reason[0] == '\0' ? nullptr : request.reason, role,
        number_text(static_cast<uint64>(settings.integrity_timeout_s)));
    List* checks = NIL;
    for (uint64 i = 0; i < rows; i++)
        checks = append(checks, check_of_row(i, context), context);
    return checks;
}

List* made_checks(const IntegrityCheck& from, const List* rows, MemoryContext context) {
    const uint64 count =
        sql("SELECT e->>'object', e->>'sql', e->>'skip', e->>'locked', e->>'owner' FROM "
            "pg_catalog.jsonb_array_elements("
            "$1::pg_catalog.jsonb) WITH ORDINALITY AS made (e, n) ORDER BY n",
            json_array(rows));
    List* checks = NIL;
    for (uint64 i = 0; i < count; i++) {
        IntegrityCheck* check = new_check(context);
        *check = from;
        check->object = kept(context, i, 1);
        check->sql = kept_utf8(context, i, 2);
        check->skip = kept(context, i, 3);
        const char* locked = result(i, 4);
        check->locked = locked != nullptr && strcmp(locked, "true") == 0;
        const char* owner = result(i, 5);
        check->owner = owner == nullptr ? InvalidOid : strtoul(owner, nullptr, 10);
        if (check->sql == nullptr && check->skip == nullptr)
            check->skip = "the catalogs say too little about it";
        checks = append(checks, check, context);
    }
    return checks;
}

char* from_utf8(const char* text) {
    const char* converted = pg_any_to_server(text, static_cast<int>(strlen(text)), PG_UTF8);
    return converted == text ? pstrdup(text) : const_cast<char*>(converted);
}

char* json_array(const List* texts) {
    StringInfoData array;
    initStringInfo(&array);
    appendStringInfoChar(&array, '[');
    ListCell* cell;
    foreach (cell, texts) {
        if (array.len > 1)
            appendStringInfoChar(&array, ',');
        appendStringInfoString(&array, from_utf8(static_cast<const char*>(lfirst(cell))));
    }
    appendStringInfoChar(&array, ']');
    return array.data;
}

}  // namespace ark
