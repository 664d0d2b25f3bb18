#pragma once
/// The row that a job has in a table: made before its work, ended after it, each in a transaction
/// of its own.
#include "server/jobs.hpp"

namespace ark {

/// Where a job has its row. What inserts and writes it runs inside begin_sql/commit_sql.
struct JobRow {
    MemoryContext context;  ///< of the job: errors are copied there
    const char* what;       ///< "backup", for messages
    const char* id;
    const char* table;
};

/// Inserts the row and tells who waits for it. False: there is none, and the job has ended with the
/// reason (no extension, a lock, withdrawn).
bool make_job_row(JobRef ref, const JobRow& row, void (*insert)(const void* job), const void* job);

/// Writes the end, several times where it must. What cannot be written the sweep, which is then
/// asked for, writes later.
void write_job_end(const JobRow& row, void (*write)(const void* job), const void* job);

}  // namespace ark
