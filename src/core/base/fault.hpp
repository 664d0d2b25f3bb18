#pragma once

#include <string>

namespace ark {

/// Faults on purpose, compiled only into test builds (PG_ARK_TEST_FAULTS). A specification is
/// `point=action[@n]`, several separated by commas: at the n-th passing (1 unless given) of the
/// named point the process does the action: kill (SIGKILL to itself), segv, exit3, oom (allocates
/// until its budget ends), enospc, eio (an ark::Error as if the system call had failed), sleep (60
/// s), stop (SIGSTOP to itself). Read from the environment variable PG_ARK_FAULT at start, replaced
/// by set_faults.
void set_faults(const std::string& specification);

#if defined(PG_ARK_TEST_FAULTS)
void fault_point(const char* name);
/// Whether the specification names it, with any action: for what tests want smaller.
bool fault_is_named(const char* name);
#define PG_ARK_FAULT_POINT(name) ::ark::fault_point(name)
#define PG_ARK_FAULT_NAMED(name) ::ark::fault_is_named(name)
#else
#define PG_ARK_FAULT_POINT(name) static_cast<void>(0)
#define PG_ARK_FAULT_NAMED(name) false
#endif

}  // namespace ark
