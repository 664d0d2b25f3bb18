#include "server/job_row.hpp"

#include "server/settings.hpp"
#include "server/worker.hpp"

extern "C" {
#include "miscadmin.h"
}

namespace ark {
namespace {

// Each try waits for a lock as long as lock_timeout says.
constexpr int kRowTries = 6;

void end_without_row(JobRef ref, const JobRow& row, ErrorData* error) {
    if (error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE) {
        error->detail = error->message;
        error->message = psprintf("the row in %s could not be written", row.table);
        error->hint = psprintf(
            "A transaction, maybe the one that asks for the %s, holds a lock on "
            "%s. Let it end first.",
            row.what, row.table);
    }
    JobError kept = {};
    copy_error(&kept, *error);
    job_end(ref, &kept);
}

// One try.
bool try_to_write(const JobRow& row, void (*write)(const void* job), const void* job) {
    volatile bool written = false;
    PG_TRY();
    {
        begin_sql(psprintf("pg_ark: end of a %s", row.what));
        write(job);
        commit_sql();
        written = true;
    }
    PG_CATCH();
    {
        const ErrorData* error = take_error(row.context);
        ereport(LOG, (errmsg("could not write the end of %s \"%s\" into %s: %s", row.what, row.id,
                             row.table, error->message)));
    }
    PG_END_TRY();
    return written;
}

}  // namespace

bool make_job_row(JobRef ref, const JobRow& row, void (*insert)(const void* job), const void* job) {
    volatile bool made = false;
    PG_TRY();
    {
        begin_sql(psprintf("pg_ark: beginning of a %s", row.what));
        if (!extension_is_here())
            ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                            errmsg("the extension pg_ark is not visible in database \"%s\"",
                                   settings.database),
                            errhint("A transaction that creates the extension has to commit before "
                                    "it can start a %s.",
                                    row.what)));
        insert(job);
        if (!job_begin_commit(ref))
            ereport(ERROR, (errcode(ERRCODE_QUERY_CANCELED),
                            errmsg("the request for a %s has been withdrawn", row.what)));
        commit_sql();
        made = true;
    }
    PG_CATCH();
    { end_without_row(ref, row, take_error(row.context)); }
    PG_END_TRY();
    if (made)
        job_visible(ref);
    return made;
}

void write_job_end(const JobRow& row, void (*write)(const void* job), const void* job) {
    for (int i = 0; i < kRowTries && !(worker_is_ending() && i > 1); i++) {
        if (try_to_write(row, write, job))
            return;
    }
    request_sweep();
}

}  // namespace ark
