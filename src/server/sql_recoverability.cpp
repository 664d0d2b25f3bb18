// What can be recovered: the functions under the views ark.wal_gaps and ark.recoverable_ranges, and
// ark.can_recover. The repository answers, through a child of this backend.
#include "server/catalog_client.hpp"
#include "server/clone.hpp"
#include "server/conversation.hpp"
#include "server/preconditions.hpp"
#include "server/restore_speed.hpp"
#include "server/sql_rows.hpp"

extern "C" {
#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "postmaster/pgarch.h"
#include "utils/array.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

// A listing of months of WAL in object storage, and some segments of it. The caller can cancel.
constexpr int64 kAnswerMs = INT64CONST(10) * 60 * 1000;
constexpr int64 kUnixEpoch =
    static_cast<int64>(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY * USECS_PER_SEC;
constexpr int64 kYear10000 = INT64CONST(253402300800) * USECS_PER_SEC;

void add_time_of(RowBuilder* row, const Message& message, const char* key) {
    if (has_key(message, key))
        add_datum(row, TimestampTzGetDatum(static_cast<TimestampTz>(get_number(message, key)) -
                                           kUnixEpoch));
    else
        add_null(row);
}

void add_lsn_of(RowBuilder* row, const Message& message, const char* key) {
    if (const char* text = get_token(message, key))
        add_datum(row, DirectFunctionCall1(pg_lsn_in, CStringGetDatum(text)));
    else
        add_null(row);
}

void add_number_of(RowBuilder* row, const Message& message, const char* key) {
    if (has_key(message, key))
        add_number(row, get_number(message, key));
    else
        add_null(row);
}

void add_flag_of(RowBuilder* row, const Message& message, const char* key) {
    if (has_key(message, key))
        add_datum(row, BoolGetDatum(get_number(message, key) != 0));
    else
        add_null(row);
}

// "a,b,c" as text[].
Datum array_of(char* list) {
    constexpr int kMostIds = 4096;
    auto* elements = static_cast<Datum*>(palloc(kMostIds * sizeof(Datum)));
    int count = 0;
    char* rest = nullptr;
    for (char* id = strtok_r(list, ",", &rest); id != nullptr && count < kMostIds;
         id = strtok_r(nullptr, ",", &rest))
        elements[count++] = CStringGetTextDatum(id);
    return PointerGetDatum(construct_array(elements, count, TEXTOID, -1, false, TYPALIGN_INT));
}

// A standby and a copy write nothing into the repository.
bool writes_here() {
    return !RecoveryInProgress() && !is_clone();
}

bool is_archiving() {
    return writes_here() && XLogArchivingActive() && strcmp(XLogArchiveLibrary, "pg_ark") == 0;
}

void ask_about_server(Child* child, const char* verb) {
    StringInfoData out;
    initStringInfo(&out);
    message_begin(&out, verb);
    if (writes_here()) {
        TimeLineID timeline = 0;
        const XLogRecPtr flushed = GetFlushRecPtr(&timeline);
        message_number(&out, "timeline", timeline);
        message_lsn(&out, "lsn", flushed);
    }
    message_end(&out);
    child_send(child, out);
}

void emit_range(FunctionCallInfo fcinfo, const Message& message) {
    RowBuilder row = {};
    add_number_of(&row, message, "timeline");
    add_time_of(&row, message, "from_time");
    add_lsn_of(&row, message, "from_lsn");
    add_time_of(&row, message, "until_time");
    add_lsn_of(&row, message, "until_lsn");
    add_lsn_of(&row, message, "wal_end");
    add_text(&row, get_token(message, "first_backup"));
    add_text(&row, get_token(message, "last_backup"));
    add_number_of(&row, message, "backups");
    add_datum(&row, BoolGetDatum(get_number(message, "open") != 0 && is_archiving()));
    emit(fcinfo, row);
}

void emit_gap(FunctionCallInfo fcinfo, const Message& message) {
    RowBuilder row = {};
    char* backups = get_text(message, "backups");
    add_number_of(&row, message, "timeline");
    add_text(&row, get_token(message, "first"));
    add_text(&row, get_token(message, "last"));
    add_lsn_of(&row, message, "start");
    add_lsn_of(&row, message, "end");
    add_number_of(&row, message, "segments");
    add_number_of(&row, message, "bytes");
    add_datum(&row, array_of(backups != nullptr ? backups : pstrdup("")));
    add_flag_of(&row, message, "in_pg_wal");
    emit(fcinfo, row);
}

struct Listing {
    const char* question;
    const char* answer;
    void (*emit_row)(FunctionCallInfo fcinfo, const Message& message);
};

void list_rows(FunctionCallInfo fcinfo, const Listing& listing) {
    require_loaded_here();
    InitMaterializedSRF(fcinfo, 0);
    CatalogClient* client = catalog_open(ChildWait::kLatch, kCatalogTimeoutMs);
    PG_TRY();
    {
        Child* child = catalog_child(client);
        ask_about_server(child, listing.question);
        for (;;) {
            const Message message = receive(child, deadline_in_ms(kAnswerMs));
            if (message_is(message, "end"))
                break;
            if (!message_is(message, listing.answer))
                ereport(ERROR, (errcode(ERRCODE_PROTOCOL_VIOLATION),
                                errmsg("pg_ark sent an unexpected \"%.40s\"", message.verb),
                                errhint("Compare the versions: SELECT * FROM ark.preflight().")));
            listing.emit_row(fcinfo, message);
        }
    }
    PG_FINALLY();
    { catalog_close(client); }
    PG_END_TRY();
}

// The moment in Unix microseconds.
uint64 target_of(FunctionCallInfo fcinfo) {
    if (PG_ARGISNULL(0))
        ereport(ERROR,
                (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("p_target must not be null"),
                 errhint("The moments that can be reached are in ark.recoverable_ranges.")));
    const TimestampTz target = PG_GETARG_TIMESTAMPTZ(0);
    if (TIMESTAMP_NOT_FINITE(target) || target < -kUnixEpoch || target >= kYear10000 - kUnixEpoch)
        ereport(ERROR,
                (errcode(ERRCODE_DATETIME_FIELD_OVERFLOW), errmsg("p_target is out of range"),
                 errdetail("It is %s.", timestamptz_to_str(target)),
                 errhint("Give a moment between the years 1970 and 9999.")));
    return static_cast<uint64>(target + kUnixEpoch);
}

Message ask_about(CatalogClient* client, uint64 target) {
    Child* child = catalog_child(client);
    StringInfoData out;
    initStringInfo(&out);
    message_begin(&out, "can_recover");
    message_number(&out, "target", target);
    message_end(&out);
    child_send(child, out);
    return receive_verb(child, "recovery", deadline_in_ms(kAnswerMs));
}

void add_interval(RowBuilder* row, const Interval* interval) {
    if (interval != nullptr)
        add_datum(row, PointerGetDatum(interval));
    else
        add_null(row);
}

void add_estimate(RowBuilder* row, const Message& answer) {
    const RestoreEstimate estimate =
        estimate_restore(get_number(answer, "database_bytes"), get_number(answer, "replay_bytes"));
    add_interval(row, estimate.restore);
    add_interval(row, estimate.replay);
    if (estimate.restore != nullptr && estimate.replay != nullptr)
        add_datum(row, DirectFunctionCall2(interval_pl, PointerGetDatum(estimate.restore),
                                           PointerGetDatum(estimate.replay)));
    else
        add_null(row);
}

void fill_recovery(RowBuilder* row, const Message& answer, int columns) {
    const bool possible = get_number(answer, "possible") != 0;
    add_datum(row, BoolGetDatum(possible));
    add_text(row, get_text(answer, "detail"));
    add_text(row, get_text(answer, "hint"));
    if (possible) {
        add_text(row, get_token(answer, "backup_id"));
        add_number_of(row, answer, "timeline");
        add_time_of(row, answer, "last_transaction");
        add_time_of(row, answer, "next_transaction");
        add_number_of(row, answer, "wal_segments");
        add_number_of(row, answer, "wal_bytes");
        add_number_of(row, answer, "backup_bytes");
        add_number(row, get_number(answer, "wal_bytes") + get_number(answer, "backup_bytes"));
        add_estimate(row, answer);
    }
    while (row->count < columns)
        add_null(row);
}

}  // namespace
}  // namespace ark

/// ark.find_wal_gaps() RETURNS TABLE (...)
ARK_SQL_FUNCTION(pg_ark_find_wal_gaps) {
    ark::list_rows(fcinfo, {"gaps", "gap", ark::emit_gap});
    return Datum(0);
}

/// ark.find_recoverable_ranges() RETURNS TABLE (...)
ARK_SQL_FUNCTION(pg_ark_find_recoverable_ranges) {
    ark::list_rows(fcinfo, {"ranges", "range", ark::emit_range});
    return Datum(0);
}

/// ark.can_recover(p_target timestamptz, OUT ...)
ARK_SQL_FUNCTION(pg_ark_can_recover) {
    ark::require_loaded_here();
    const uint64 target = ark::target_of(fcinfo);
    TupleDesc descriptor = nullptr;
    if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE)
        elog(ERROR, "ark.can_recover returns a row");
    ark::RowBuilder row = {};
    ark::CatalogClient* client = ark::catalog_open(ark::ChildWait::kLatch, ark::kCatalogTimeoutMs);
    PG_TRY();
    { ark::fill_recovery(&row, ark::ask_about(client, target), descriptor->natts); }
    PG_FINALLY();
    { ark::catalog_close(client); }
    PG_END_TRY();
    return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), row.values, row.nulls));
}
