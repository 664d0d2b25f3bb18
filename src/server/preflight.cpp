#include "server/preflight.hpp"

#include "server/preconditions.hpp"
#include "server/sql_rows.hpp"

extern "C" {
#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
}

namespace ark {
namespace {

struct Group {
    const char* name;  ///< for the row of an error
    void (*run)(CheckSink* sink);
};

const Group kGroups[] = {
    {"repository", check_repository},
    {"archiving", check_archiving},
    {"wal_streaming", check_wal_streaming},
    {"change_tracking", check_change_tracking},
    {"pages", check_pages},
    {"worker_slots", check_workers},
    {"timeouts", check_timeouts},
    {"last_backup", check_last_backup},
    {"oom_policy", check_out_of_memory},
};

// In a subtransaction, so that an error in one check leaves the transaction usable for the next.
void run_group(CheckSink* sink, const Group& group) {
    MemoryContext context = CurrentMemoryContext;
    ResourceOwner owner = CurrentResourceOwner;
    BeginInternalSubTransaction(nullptr);
    MemoryContextSwitchTo(context);
    PG_TRY();
    {
        SPI_connect();
        group.run(sink);
        SPI_finish();
        ReleaseCurrentSubTransaction();
    }
    PG_CATCH();
    {
        MemoryContextSwitchTo(context);
        ErrorData* error = CopyErrorData();
        FlushErrorState();
        RollbackAndReleaseCurrentSubTransaction();
        MemoryContextSwitchTo(context);
        CurrentResourceOwner = owner;
        if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
            ReThrowError(error);
        put_check(sink, {group.name, false,
                         psprintf("could not be checked: %s%s%s", error->message,
                                  error->detail != nullptr ? ": " : "",
                                  error->detail != nullptr ? error->detail : ""),
                         error->hint != nullptr ? error->hint : "See the server's log."});
    }
    PG_END_TRY();
    MemoryContextSwitchTo(context);
    CurrentResourceOwner = owner;
}

void put_precondition(CheckSink* sink, const Precondition& precondition) {
    const Problem problem = precondition.check();
    const char* found = problem.detail;
    if (problem.message != nullptr && problem.detail != nullptr)
        found = psprintf("%s: %s", problem.message, problem.detail);
    else if (problem.message != nullptr)
        found = problem.message;
    put_check(sink, {precondition.name, problem.message == nullptr, found, problem.hint});
}

}  // namespace

void put_check(CheckSink* sink, const Check& check) {
    RowBuilder row = {};
    add_text(&row, check.name);
    add_datum(&row, BoolGetDatum(check.ok));
    add_text(&row, check.detail);
    add_text(&row, check.ok ? nullptr : check.hint);
    emit(sink->fcinfo, row);
}

}  // namespace ark

/// ark.preflight() RETURNS TABLE (name text, ok boolean, detail text, hint text)
ARK_SQL_FUNCTION(pg_ark_preflight) {
    InitMaterializedSRF(fcinfo, 0);
    ark::CheckSink sink = {fcinfo};
    for (int i = 0; i < ark::kPreconditionCount; i++)
        ark::put_precondition(&sink, ark::kPreconditions[i]);
    for (const ark::Group& group : ark::kGroups)
        ark::run_group(&sink, group);
    return Datum(0);
}
