#pragma once
#include "server/jobs.hpp"

extern "C" {
#include "postmaster/bgworker.h"
}

namespace ark {

/// Registers the dynamic worker of a job; `handle` is palloc'd. False: max_worker_processes is
/// exhausted. The calling process gets a signal when it starts and ends.
bool start_job_worker(JobRef ref, BackgroundWorkerHandle** handle);

}  // namespace ark

extern "C" ARK_EXPORT void pg_ark_job_main(Datum);
