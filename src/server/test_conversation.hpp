#pragma once
#include "server/child.hpp"
#include "server/jobs.hpp"

namespace ark {

/// A running restore test or verification. palloc'd in `context`, which lives as long as the job.
struct TestJob {
    MemoryContext context;
    MemoryContext message_context;  ///< reset with each message
    JobRef ref;
    JobKind kind;
    JobRequest* request;
    TimestampTz started_at;
    Child* child;  ///< NULL: not started, or stopped
    bool begun;    ///< the child may have made something in the scratch directory
    JobProgress progress;
    char* drill_context;  ///< JSON; NULL: nothing is known
    char* evidence;       ///< JSON; NULL: none yet
    Verdict verdict;
};

/// Starts the child and leads it through the test until it has sent its evidence. Throws whatever
/// went wrong, on whichever side; job->child is the caller's to stop in both cases.
void converse_about_test(TestJob* job);

void set_test_phase(TestJob* job, const char* phase);

}  // namespace ark
