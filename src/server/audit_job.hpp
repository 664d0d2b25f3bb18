#pragma once
#include "server/jobs.hpp"

namespace ark {

/// Brings what waits into ark.audit_log. In a worker of its own; catches its own errors.
void run_audit(JobRef ref);

}  // namespace ark
