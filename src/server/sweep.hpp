#pragma once
#include "server/jobs.hpp"

namespace ark {

/// Makes ark.backup_log and the repository agree, in a worker that is connected and has its session
/// defaults. Rows that a crash left `in_progress` get their end; backups that the table lacks are
/// inserted; what the repository no longer has is `expired`. Rows of tests that a crash left get
/// their end too, and the scratch directory is swept. Throws nothing; asks to be started
/// again where something failed.
void run_sweep(JobRef ref);

}  // namespace ark
