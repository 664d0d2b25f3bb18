#pragma once

#include <string>
#include <vector>

namespace ark {

/// Where a guard tells its parent how the program ended: an int, as waitpid gives it.
constexpr int kGuardStatusFd = 3;

/// The hidden role `server-guard`: runs one program, and sees to it that the program and everything
/// that it started end with it, and no process of theirs ever reaches process 1. Where PostgreSQL
/// is process 1 it would take an odd exit status of any of them for a crash of its own.
///
/// The caller has given it SIGTERM for its own death (PR_SET_PDEATHSIG), blocked signals, and its
/// standard input and output. The program gets default handlers, an empty signal mask and, should
/// the guard be killed, SIGQUIT where it is `postgres`, else SIGTERM.
///
/// On SIGTERM, SIGINT, SIGHUP or SIGQUIT the program is asked to end in the same way, and after 5 s
/// every descendant is killed. Returns the guard's exit status, 0 or 1; the program's goes to
/// kGuardStatusFd where that is open.
int run_guard(const std::vector<std::string>& command);

}  // namespace ark
