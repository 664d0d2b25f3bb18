#pragma once
#include "server/jobs.hpp"

namespace ark {

/// Does the backup of that job, from the row in ark.backup_log to its end, in a worker that is
/// connected and has its session defaults. Throws nothing; the job has ended when it returns.
void run_backup(JobRef ref);

}  // namespace ark
