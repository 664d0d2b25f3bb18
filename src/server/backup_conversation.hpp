#pragma once
#include "server/backup_log.hpp"
#include "server/child.hpp"
#include "server/jobs.hpp"

namespace ark {

/// A running backup. palloc'd in `context`, which lives as long as the job.
struct BackupJob {
    MemoryContext context;
    MemoryContext message_context;  ///< reset with each message
    JobRef ref;
    JobRequest* request;
    TimestampTz started_at;
    Child* child;  ///< NULL: not started, or stopped
    bool ready;    ///< the child may have written something
    JobProgress progress;
    BackupResult result;
};

/// Starts the child and leads it through the backup until `done`. Throws whatever went wrong, on
/// whichever side; job->child is the caller's to stop in both cases.
void converse_about_backup(BackupJob* job);

}  // namespace ark
