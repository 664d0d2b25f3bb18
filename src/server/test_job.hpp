#pragma once
#include "server/jobs.hpp"

namespace ark {

/// Does the restore test or verification of that job, from its row to its end, in a worker that is
/// connected and has its session defaults. Throws nothing; the job has ended when it returns, and
/// so has everything that it started.
void run_test(JobRef ref);

}  // namespace ark
