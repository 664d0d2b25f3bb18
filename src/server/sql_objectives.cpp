// Recovery objectives, for SQL.
#include "server/audit_call.hpp"
#include "server/preconditions.hpp"
#include "server/restore_speed.hpp"
#include "server/sql_call.hpp"

extern "C" {
#include "access/htup_details.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

enum : int { kTier, kRpo, kRto, kTables, kSchemas, kDatabases, kPosition, kDescription };

// As its type's text; NULL for NULL.
const char* argument(FunctionCallInfo fcinfo, int n) {
    if (PG_ARGISNULL(n))
        return nullptr;
    Oid output = InvalidOid;
    bool is_varlena = false;
    getTypeOutputInfo(get_fn_expr_argtype(fcinfo->flinfo, n), &output, &is_varlena);
    return OidOutputFunctionCall(output, PG_GETARG_DATUM(n));
}

[[noreturn]] void refuse(const char* message, const char* hint) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg_internal("%s", message),
                    errhint("%s", hint)));
    pg_unreachable();
}

void check_duration(const char* name, const char* value) {
    if (value == nullptr)
        return;
    sql("SELECT $1::interval > interval '0'", value);
    if (strcmp(result(0, 1), "t") != 0)
        refuse(psprintf("%s must be more than nothing", name),
               "Leave it out where there is no such objective.");
}

// Names with as many parts; a null among them is none.
void check_names(const char* name, const char* values, const char* least, const char* hint) {
    if (values == nullptr)
        return;
    sql("SELECT n FROM unnest($1::text[]) AS n WHERE (cardinality(ark.name_parts(n)) BETWEEN "
        "$2::int AND $2::int + 1) IS NOT TRUE LIMIT 1",
        values, least);
    if (SPI_processed == 0)
        return;
    const char* wrong = result(0, 1);
    refuse(psprintf("\"%s\" in %s is no such name", wrong != nullptr ? wrong : "NULL", name), hint);
}

constexpr char kUpdate[] =
    "UPDATE ark.recovery_objectives SET rpo = COALESCE($2::interval, rpo), rto = "
    "COALESCE($3::interval, rto), tables = COALESCE($4::text[], tables), schemas = "
    "COALESCE($5::text[], schemas), databases = COALESCE($6::text[], databases), \"position\" = "
    "COALESCE($7::int, \"position\"), description = COALESCE($8, description), is_example = false "
    "WHERE tier = $1";
constexpr char kInsert[] =
    "INSERT INTO ark.recovery_objectives (tier, rpo, rto, tables, schemas, databases, "
    "\"position\", description) SELECT $1, $2::interval, $3::interval, COALESCE($4::text[], "
    "'{}'), COALESCE($5::text[], '{}'), COALESCE($6::text[], '{}'), COALESCE($7::int, (SELECT "
    "max(\"position\") + 10 FROM ark.recovery_objectives), 10), COALESCE($8, '')";

void set_objective(FunctionCallInfo fcinfo, const char* tier) {
    const char* v[8];
    for (int i = 0; i < 8; i++)
        v[i] = argument(fcinfo, i);
    const Lookup lookup = begin_lookup();
    check_duration("p_rpo", v[kRpo]);
    check_duration("p_rto", v[kRto]);
    check_names("p_tables", v[kTables], "2",
                "Write schema.table, or database.schema.table, quoted as in SQL.");
    check_names("p_schemas", v[kSchemas], "1",
                "Write schema, or database.schema, quoted as in SQL.");
    audit_accepted(tier, nullptr);
    if (run_sql(kUpdate, 8, v) == 0) {
        if (v[kRpo] == nullptr && v[kRto] == nullptr)
            refuse(psprintf("tier \"%s\" is new, and has no objective", tier),
                   "Say p_rpo, what may be lost, or p_rto, how long a recovery may take.");
        run_sql(kInsert, 8, v);
    }
    end_lookup(lookup);
}

void add_estimate(Datum* value, bool* is_null, Interval* estimate) {
    *is_null = estimate == nullptr;
    *value = estimate == nullptr ? Datum(0) : IntervalPGetDatum(estimate);
}

}  // namespace
}  // namespace ark

/// ark.set_recovery_objective(p_tier, p_rpo, p_rto, p_tables, p_schemas, p_databases, p_position,
/// p_description)
ARK_AUDITED_FUNCTION(pg_ark_set_recovery_objective, "set_recovery_objective") {
    ark::require_loaded_here();
    const char* tier = PG_ARGISNULL(0) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(0));
    if (tier[0] == '\0')
        ark::refuse("p_tier must not be empty", "Name it, for example 'critical'.");
    ark::set_objective(fcinfo, tier);
    PG_RETURN_VOID();
}

/// Before each row of ark.recovery_objectives.
ARK_SQL_FUNCTION(pg_ark_objective_changes) {
    if (!CALLED_AS_TRIGGER(fcinfo))
        elog(ERROR, "ark.objective_changes is a trigger's function");
    auto* data = reinterpret_cast<TriggerData*>(fcinfo->context);
    const bool updates = TRIGGER_FIRED_BY_UPDATE(data->tg_event);
    HeapTuple row = updates ? data->tg_newtuple : data->tg_trigtuple;
    TupleDesc descriptor = RelationGetDescr(data->tg_relation);
    const ark::Lookup lookup = ark::begin_lookup();
    const int column = SPI_fnumber(descriptor, "is_example");
    bool is_null = false;
    const bool example = DatumGetBool(SPI_getbinval(row, descriptor, column, &is_null));
    const char* tier = SPI_getvalue(row, descriptor, SPI_fnumber(descriptor, "tier"));
    if (!updates && !example && tier != nullptr)
        ark::sql("DELETE FROM ark.recovery_objectives WHERE tier = $1 AND is_example", tier);
    ark::end_lookup(lookup);
    if (updates && example && !is_null) {
        int columns[] = {column};
        Datum values[] = {BoolGetDatum(false)};
        bool nulls[] = {false};
        row = heap_modify_tuple_by_cols(row, descriptor, 1, columns, values, nulls);
    }
    return PointerGetDatum(row);
}

/// ark.restore_estimate(p_bytes bigint, p_wal_bytes bigint, OUT interval, OUT interval)
ARK_SQL_FUNCTION(pg_ark_restore_estimate) {
    ark::require_loaded_here();
    TupleDesc descriptor = nullptr;
    if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE)
        elog(ERROR, "ark.restore_estimate returns a row");
    Datum values[2] = {};
    bool nulls[2] = {true, true};
    if (!PG_ARGISNULL(0) && !PG_ARGISNULL(1) && PG_GETARG_INT64(0) >= 0 &&
        PG_GETARG_INT64(1) >= 0) {
        const ark::RestoreEstimate estimate = ark::estimate_restore(
            static_cast<uint64>(PG_GETARG_INT64(0)), static_cast<uint64>(PG_GETARG_INT64(1)));
        ark::add_estimate(&values[0], &nulls[0], estimate.restore);
        ark::add_estimate(&values[1], &nulls[1], estimate.replay);
    }
    return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls));
}
