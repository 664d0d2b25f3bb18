#pragma once
#include "server/pg_version.hpp"

namespace ark {

/// Ends the rows of tests and verifications whose job is gone: the server or the worker was killed.
/// Each in a transaction of its own; throws where one cannot be written.
void end_orphaned_tests();

}  // namespace ark
