#pragma once
/// The rows of ark.integrity_runs and ark.integrity_results. Every function runs inside
/// begin_sql/commit_sql.
#include "server/shared.hpp"

namespace ark {

/// What came of one check. Strings may be NULL but the first four and the status.
struct IntegrityResult {
    const char* run_id;
    const char* check;
    const char* category;
    const char* severity;
    const char* object;  ///< what of the database it is about: of a ready-made check
    const char* database;
    TimestampTz started_at;
    long ms;
    const char* status;  ///< passed, failed, error, skipped
    uint64 violations;
    bool more;            ///< than that
    const char* samples;  ///< a JSON array
    int sqlstate;         ///< 0: none
    const char *message, *detail, *hint;
};

void insert_integrity_run(const JobRequest& request, TimestampTz started_at);
void insert_integrity_result(const IntegrityResult& result);
/// The run ends; its counts come from its results.
void complete_integrity_run(const char* run_id);
/// `error` of JobError's kind; one that has its end already stays as it is. Whether it had none.
bool fail_integrity_run(const char* run_id, int sqlstate, const char* message, const char* hint);
/// Removes results and runs older than pg_ark.integrity_retention says.
void expire_integrity_results();

/// A query for the ids of runs that have no end.
extern const char kOpenIntegrityRuns[];

}  // namespace ark
