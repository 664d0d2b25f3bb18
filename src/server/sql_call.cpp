#include "server/sql_call.hpp"

extern "C" {
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
}

namespace ark {

Lookup begin_lookup() {
    Lookup lookup = {};
    GetUserIdAndSecContext(&lookup.user, &lookup.security);
    SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, lookup.security | SECURITY_LOCAL_USERID_CHANGE);
    SPI_connect();
    return lookup;
}

void end_lookup(const Lookup& lookup) {
    SPI_finish();
    SetUserIdAndSecContext(lookup.user, lookup.security);
}

uint64 run_sql(const char* statement, int count, const char* const* values) {
    constexpr int kMost = 32;
    Oid types[kMost] = {};
    Datum data[kMost] = {};
    char nulls[kMost] = {};
    Assert(count <= kMost);
    for (int i = 0; i < count; i++) {
        types[i] = TEXTOID;
        nulls[i] = values[i] == nullptr ? 'n' : ' ';
        data[i] = values[i] == nullptr ? Datum(0) : CStringGetTextDatum(values[i]);
    }
    const int code =
        SPI_execute_with_args(statement, count, types, data, nulls, /* read_only */ false, 0);
    if (code < 0)
        ereport(ERROR,
                (errcode(ERRCODE_INTERNAL_ERROR), errmsg("pg_ark could not run \"%.60s\": %s",
                                                         statement, SPI_result_code_string(code))));
    return SPI_processed;
}

char* result(uint64 row, int column) {
    if (SPI_tuptable == nullptr || row >= SPI_processed)
        return nullptr;
    return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

char* number_text(uint64 value) {
    return psprintf(UINT64_FORMAT, value);
}

char* lsn_text(uint64 lsn) {
    return lsn == 0 ? nullptr
                    : psprintf("%X/%X", static_cast<uint32>(lsn >> 32), static_cast<uint32>(lsn));
}

char* unix_time_text(uint64 microseconds) {
    if (microseconds == 0)
        return nullptr;
    constexpr int64 kEpochs =
        static_cast<int64>(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY * USECS_PER_SEC;
    return pstrdup(timestamptz_to_str(static_cast<TimestampTz>(microseconds) - kEpochs));
}

}  // namespace ark
