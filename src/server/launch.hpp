#pragma once
#include "server/jobs.hpp"

namespace ark {

/// Waits until the row of a job that has just been asked for is committed and everybody can see it.
/// Throws the worker's reason where there will be none, ERRCODE_LOCK_NOT_AVAILABLE where none
/// appeared in time; the job has been withdrawn then, unless the message says otherwise. On any
/// error the caller still has to withdraw.
void wait_for_row(JobRef ref, JobKind kind, const char* id);

/// What messages call a job of this kind: "a backup", "a restore test".
const char* one_of_kind(JobKind kind);

}  // namespace ark
