// Integrity checks and critical functions are added and removed. Their tables are written as the
// superuser: a grant on the function is enough.
#include "server/audit_call.hpp"
#include "server/job_options.hpp"
#include "server/preconditions.hpp"
#include "server/query_text.hpp"
#include "server/ready_made.hpp"
#include "server/sql_call.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
}

namespace ark {
namespace {

constexpr size_t kMostName = 200;

/// What is added, as texts for its row. NULL where it is not given.
struct Definition {
    const char *name, *sql, *description, *database, *timeout, *runs_on, *predicate, *tier;
    bool enabled, replace;
    /// Of ready-made ones.
    List *kinds, *exclude;
    const char* tenant_column;
    double near_end, bloat;  ///< below 0: not given
};

Definition new_definition() {
    Definition definition = {};
    definition.enabled = true;
    definition.near_end = -1;
    definition.bloat = -1;
    return definition;
}

const char* text_argument(FunctionCallInfo fcinfo, int n) {
    return PG_ARGISNULL(n) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

const char* required_text(FunctionCallInfo fcinfo, int n, const char* argument) {
    const char* text = text_argument(fcinfo, n);
    if (text == nullptr)
        ereport(ERROR,
                (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s must not be null", argument)));
    return text;
}

const char* name_argument(FunctionCallInfo fcinfo) {
    const char* name = required_text(fcinfo, 0, "p_name");
    if (name[0] == '\0' || strlen(name) > kMostName)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("p_name must have 1 to %zu bytes", kMostName)));
    return name;
}

const char* one_of(const char* value, const char* what, const char* const* known, int count,
                   const char* hint) {
    for (int i = 0; i < count; i++) {
        if (strcmp(value, known[i]) == 0)
            return value;
    }
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("unknown %s \"%s\"", what, value), errhint("%s", hint)));
    pg_unreachable();
}

const char* category_argument(FunctionCallInfo fcinfo) {
    constexpr const char* kCategories[] = {"referential", "isolation",   "validation",
                                           "consistency", "performance", "custom"};
    return one_of(required_text(fcinfo, 1, "p_category"), "category", kCategories,
                  lengthof(kCategories),
                  "It is referential, isolation, validation, consistency, performance or custom.");
}

const char* severity_argument(FunctionCallInfo fcinfo) {
    constexpr const char* kSeverities[] = {"info", "warning", "error", "critical"};
    return one_of(required_text(fcinfo, 3, "p_severity"), "severity", kSeverities,
                  lengthof(kSeverities), "It is info, warning, error or critical.");
}

const char* threshold_argument(FunctionCallInfo fcinfo) {
    const int64 threshold = PG_ARGISNULL(4) ? 0 : PG_GETARG_INT64(4);
    if (threshold < 0)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("p_threshold must not be negative"),
                        errhint("It is the number of violations that are tolerated.")));
    return number_text(static_cast<uint64>(threshold));
}

// The array's own text form.
const char* array_argument(FunctionCallInfo fcinfo, int n, const char* argument) {
    if (PG_ARGISNULL(n))
        return nullptr;
    ArrayType* array = PG_GETARG_ARRAYTYPE_P(n);
    if (ARR_NDIM(array) > 1 || array_contains_nulls(array))
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("%s must be a list of names without nulls", argument)));
    Datum* elements = nullptr;
    int count = 0;
    deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, nullptr, &count);
    StringInfoData json;
    initStringInfo(&json);
    appendStringInfoChar(&json, '[');
    for (int i = 0; i < count; i++) {
        appendStringInfoString(&json, i == 0 ? "" : ",");
        escape_json(&json, TextDatumGetCString(elements[i]));
    }
    appendStringInfoChar(&json, ']');
    return json.data;
}

const char* json_texts(const List* texts) {
    if (texts == NIL)
        return nullptr;
    StringInfoData json;
    initStringInfo(&json);
    ListCell* cell;
    foreach (cell, texts) {
        appendStringInfoString(&json, json.len == 0 ? "[" : ",");
        escape_json(&json, static_cast<const char*>(lfirst(cell)));
    }
    appendStringInfoChar(&json, ']');
    return json.data;
}

bool take_common(Definition* d, const char* key, const JsonbValue& value) {
    if (strcmp(key, "description") == 0)
        d->description = any_text_option(key, value);
    else if (strcmp(key, "database") == 0)
        d->database = any_text_option(key, value);
    else if (strcmp(key, "timeout") == 0)
        d->timeout = any_text_option(key, value);
    else if (strcmp(key, "enabled") == 0)
        d->enabled = boolean_option(key, value);
    else if (strcmp(key, "replace") == 0)
        d->replace = boolean_option(key, value);
    else
        return false;
    return true;
}

bool take_check_option(void* target, const char* key, const JsonbValue& value) {
    auto* d = static_cast<Definition*>(target);
    if (strcmp(key, "runs_on") != 0)
        return take_common(d, key, value);
    constexpr const char* kPlaces[] = {"live", "drill", "both"};
    d->runs_on = one_of(any_text_option(key, value), "place in option runs_on:", kPlaces,
                        lengthof(kPlaces), "It is live, drill or both.");
    return true;
}

bool take_function_option(void* target, const char* key, const JsonbValue& value) {
    auto* d = static_cast<Definition*>(target);
    if (strcmp(key, "predicate") == 0)
        d->predicate = any_text_option(key, value);
    else if (strcmp(key, "tier") == 0)
        d->tier = any_text_option(key, value);
    else
        return take_common(d, key, value);
    return true;
}

bool take_ready_made_option(void* target, const char* key, const JsonbValue& value) {
    auto* d = static_cast<Definition*>(target);
    if (strcmp(key, "kinds") == 0)
        d->kinds = texts_option(key, value);
    else if (strcmp(key, "exclude") == 0)
        d->exclude = texts_option(key, value);
    else if (strcmp(key, "tenant_column") == 0)
        d->tenant_column = any_text_option(key, value);
    else if (strcmp(key, "near_end") == 0)
        d->near_end = fraction_option(key, value);
    else if (strcmp(key, "bloat") == 0)
        d->bloat = fraction_option(key, value);
    else if (strcmp(key, "replace") == 0 || strcmp(key, "description") == 0)
        return false;
    else
        return take_common(d, key, value);
    return true;
}

Jsonb* options_argument(FunctionCallInfo fcinfo, int n) {
    return PG_ARGISNULL(n) ? nullptr : PG_GETARG_JSONB_P(n);
}

// Inside SPI.
void require_database(const char* database) {
    if (database == nullptr ||
        sql("SELECT FROM pg_catalog.pg_database WHERE datname = $1", database) > 0)
        return;
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_DATABASE),
                    errmsg("database \"%s\" does not exist", database),
                    errhint("Leave the option database out for the one of pg_ark.database.")));
}

void require_timeout(const char* timeout) {
    if (timeout == nullptr)
        return;
    (void)sql("SELECT $1::pg_catalog.interval BETWEEN '1 millisecond' AND '24 hours'", timeout);
    if (strcmp(result(0, 1), "t") != 0)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("invalid value for option \"%s\" of p_options", "timeout"),
                        errhint("It is an interval from 1 millisecond to 24 hours.")));
}

// The one that was there, where it is to be replaced.
void make_room(const char* table, const char* what, const Definition& d) {
    if (d.replace) {
        (void)sql(psprintf("DELETE FROM ark.%s WHERE name = $1", table), d.name);
        return;
    }
    if (sql(psprintf("SELECT FROM ark.%s WHERE name = $1", table), d.name) > 0)
        ereport(ERROR, (errcode(ERRCODE_DUPLICATE_OBJECT),
                        errmsg("%s \"%s\" exists already", what, d.name),
                        errhint("Replace it with the option {\"replace\": true}, or choose "
                                "another name.")));
}

const char* truth(bool value) {
    return value ? "true" : "false";
}

const char* caller() {
    return GetUserNameFromId(GetSessionUserId(), false);
}

void add_check(const Definition& d, const char* category, const char* severity,
               const char* threshold, const char* tables) {
    const Lookup lookup = begin_lookup();
    require_database(d.database);
    require_timeout(d.timeout);
    make_room("integrity_checks", "integrity check", d);
    audit_accepted(d.name, category);
    (void)sql(
        "INSERT INTO ark.integrity_checks (name, category, description, sql, severity, threshold, "
        "tables, database, enabled, runs_on, timeout, created_by) VALUES ($1, $2, $3, $4, $5, "
        "$6::pg_catalog.int8, ARRAY(SELECT pg_catalog.jsonb_array_elements_text(COALESCE("
        "$7::pg_catalog.jsonb, '[]'))), $8, $9::pg_catalog.bool, COALESCE($10, 'both'), "
        "$11::pg_catalog.interval, $12)",
        d.name, category, d.description, d.sql, severity, threshold, tables, d.database,
        truth(d.enabled), d.runs_on, d.timeout, caller());
    end_lookup(lookup);
}

void add_function(const Definition& d, const char* expected) {
    const Lookup lookup = begin_lookup();
    require_database(d.database);
    require_timeout(d.timeout);
    make_room("critical_functions", "critical function", d);
    audit_accepted(d.name, nullptr);
    (void)sql(
        "INSERT INTO ark.critical_functions (name, description, sql, expected, predicate, "
        "database, timeout, enabled, tier, created_by) VALUES ($1, $2, $3, $4, $5, $6, "
        "$7::pg_catalog.interval, $8::pg_catalog.bool, $9, $10)",
        d.name, d.description, d.sql, expected, d.predicate, d.database, d.timeout,
        truth(d.enabled), d.tier, caller());
    end_lookup(lookup);
}

void remove_row(const char* table, const char* what, const char* name) {
    const Lookup lookup = begin_lookup();
    if (sql(psprintf("SELECT FROM ark.%s WHERE name = $1", table), name) == 0)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("%s \"%s\" does not exist", what, name),
                 errhint("Those that exist are in ark.%s.", table)));
    audit_accepted(name, nullptr);
    (void)sql(psprintf("DELETE FROM ark.%s WHERE name = $1", table), name);
    end_lookup(lookup);
}

bool is_wanted(const List* kinds, const char* kind) {
    ListCell* cell;
    foreach (cell, kinds) {
        if (strcmp(static_cast<const char*>(lfirst(cell)), kind) == 0)
            return true;
    }
    return kinds == NIL;
}

void require_kinds(const List* kinds) {
    ListCell* cell;
    foreach (cell, kinds) {
        const char* kind = static_cast<const char*>(lfirst(cell));
        if (find_ready_made(kind) == nullptr)
            ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                            errmsg("unknown kind \"%s\" of ready-made checks", kind),
                            errhint("The kinds are %s.", ready_made_kinds())));
    }
}

// One made before for the same database is replaced.
void add_ready_made(const ReadyMade& ready_made, const Definition& d, const char* schemas) {
    const char* name =
        d.database == nullptr ? ready_made.kind : psprintf("%s@%s", ready_made.kind, d.database);
    const char* near_end = d.near_end < 0 ? nullptr : psprintf("%g", d.near_end);
    const char* bloat = d.bloat < 0 ? nullptr : psprintf("%g", d.bloat);
    if (sql("SELECT FROM ark.integrity_checks WHERE name = $1 AND ready_made IS NULL", name) > 0)
        ereport(ERROR, (errcode(ERRCODE_DUPLICATE_OBJECT),
                        errmsg("integrity check \"%s\" exists already", name),
                        errdetail("It is not ready-made."),
                        errhint("Remove it with SELECT ark.remove_integrity_check('%s').", name)));
    (void)sql(
        "INSERT INTO ark.integrity_checks (name, category, description, ready_made, options, "
        "severity, database, enabled, runs_on, timeout, created_by) VALUES ($1, $2, $3, $4, "
        "pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('schemas', "
        "$5::pg_catalog.jsonb, 'exclude', $6::pg_catalog.jsonb, 'tenant_column', $7, "
        "'near_end', $8::pg_catalog.numeric, 'bloat', $9::pg_catalog.numeric)), $10, $11, "
        "$12::pg_catalog.bool, $15, $13::pg_catalog.interval, $14) "
        "ON CONFLICT (name) DO UPDATE SET options = EXCLUDED.options, enabled = "
        "EXCLUDED.enabled, timeout = EXCLUDED.timeout",
        name, ready_made.category, ready_made.description, ready_made.kind, schemas,
        json_texts(d.exclude), d.tenant_column, near_end, bloat, ready_made.severity, d.database,
        truth(d.enabled), d.timeout, caller(), ready_made.in_drills ? "both" : "live");
}

int add_all_ready_made(const Definition& d, const char* schemas) {
    require_kinds(d.kinds);
    const Lookup lookup = begin_lookup();
    require_database(d.database);
    require_timeout(d.timeout);
    audit_accepted(d.database, nullptr);
    int count = 0;
    for (const ReadyMade& ready_made : kReadyMade) {
        if (!is_wanted(d.kinds, ready_made.kind))
            continue;
        add_ready_made(ready_made, d, schemas);
        count++;
    }
    end_lookup(lookup);
    return count;
}

}  // namespace
}  // namespace ark

/// ark.add_integrity_check(p_name text, p_category text, p_sql text, p_severity text, p_threshold
/// bigint, p_tables text[], p_options jsonb)
ARK_AUDITED_FUNCTION(pg_ark_add_integrity_check, "add_integrity_check") {
    ark::require_loaded_here();
    ark::Definition definition = ark::new_definition();
    definition.name = ark::name_argument(fcinfo);
    const char* category = ark::category_argument(fcinfo);
    definition.sql = ark::one_query(ark::required_text(fcinfo, 2, "p_sql"));
    const char* severity = ark::severity_argument(fcinfo);
    const char* threshold = ark::threshold_argument(fcinfo);
    const char* tables = ark::array_argument(fcinfo, 5, "p_tables");
    ark::take_options(
        ark::options_argument(fcinfo, 6),
        "The options are description, database, enabled, runs_on, timeout and replace.",
        ark::take_check_option, &definition);
    ark::add_check(definition, category, severity, threshold, tables);
    PG_RETURN_VOID();
}

/// ark.remove_integrity_check(p_name text)
ARK_AUDITED_FUNCTION(pg_ark_remove_integrity_check, "remove_integrity_check") {
    ark::require_loaded_here();
    ark::remove_row("integrity_checks", "integrity check", ark::name_argument(fcinfo));
    PG_RETURN_VOID();
}

/// ark.add_critical_function(p_name text, p_sql text, p_expected text, p_options jsonb)
ARK_AUDITED_FUNCTION(pg_ark_add_critical_function, "add_critical_function") {
    ark::require_loaded_here();
    ark::Definition definition = ark::new_definition();
    definition.name = ark::name_argument(fcinfo);
    definition.sql = ark::one_query(ark::required_text(fcinfo, 1, "p_sql"));
    const char* expected = ark::text_argument(fcinfo, 2);
    ark::take_options(
        ark::options_argument(fcinfo, 3),
        "The options are description, predicate, database, tier, enabled, timeout and replace.",
        ark::take_function_option, &definition);
    if (definition.predicate != nullptr)
        (void)ark::one_query(psprintf("SELECT (%s\n)", definition.predicate));
    ark::add_function(definition, expected);
    PG_RETURN_VOID();
}

/// ark.remove_critical_function(p_name text)
ARK_AUDITED_FUNCTION(pg_ark_remove_critical_function, "remove_critical_function") {
    ark::require_loaded_here();
    ark::remove_row("critical_functions", "critical function", ark::name_argument(fcinfo));
    PG_RETURN_VOID();
}

/// ark.add_ready_made_checks(p_schemas text[], p_options jsonb) RETURNS integer
ARK_AUDITED_FUNCTION(pg_ark_add_ready_made_checks, "add_ready_made_checks") {
    ark::require_loaded_here();
    ark::Definition definition = ark::new_definition();
    const char* schemas = ark::array_argument(fcinfo, 0, "p_schemas");
    ark::take_options(ark::options_argument(fcinfo, 1),
                      "The options are kinds, exclude, tenant_column, near_end, bloat, database, "
                      "enabled and timeout.",
                      ark::take_ready_made_option, &definition);
    PG_RETURN_INT32(ark::add_all_ready_made(definition, schemas));
}
