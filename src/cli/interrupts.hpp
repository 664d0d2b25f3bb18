#pragma once

namespace ark {

/// From here on the first SIGINT, SIGTERM or SIGHUP is only noted, so that the command can end in
/// order; a second one of a kind ends the process.
void catch_interrupts();
bool was_interrupted() noexcept;

}  // namespace ark
