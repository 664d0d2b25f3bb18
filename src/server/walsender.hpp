#pragma once
#include "server/pg_version.hpp"

namespace ark {

/// Whether commits may wait for the client of the walsender with this process id, because
/// synchronous_standby_names has its name. False too where there is no such walsender (yet).
bool walsender_is_synchronous(pid_t pid);
/// Whether that is so for any walsender there is.
bool any_walsender_is_synchronous();

}  // namespace ark
