#pragma once
#include "server/jobs.hpp"

namespace ark {

/// The job of the launcher that looks at ark.drills: notes what came out of those that ran, starts
/// those that are due, and tells when the next one is. A worker of its own, since the launcher is
/// connected to no database.
void run_schedule(JobRef ref);

}  // namespace ark
