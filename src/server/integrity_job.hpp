#pragma once
#include "server/jobs.hpp"

namespace ark {

/// Does the run of integrity checks of that job, from its row to its end, in a worker that is
/// connected and has its session defaults: it reads the checks and writes the results, and has each
/// check run by a check worker. Throws nothing; the job has ended when it returns.
void run_integrity(JobRef ref);

}  // namespace ark
