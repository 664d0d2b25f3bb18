#pragma once
/// The WAL worker's child that keeps change tables (`pg_ark server-track`): when it runs, what it
/// is told, and what it says, which goes to shared memory and, where it is trouble, to the log. All
/// of it belongs to the worker's process.
#include "server/pg_version.hpp"

namespace ark {

struct WalChild;
WalChild* track_child();

/// Once a tick: starts it, ends it, tells it how far WAL is flushed. `idle`: the state to show
/// where nothing is to be tracked, or NULL. Throws no errors: they are told as the child's are.
void track_child_supervise(const char* idle);
/// Waits at most `timeout_ms` for something to happen, and takes in what it says. Where somebody
/// waits for tables (track_wait.hpp) tells it how far WAL is flushed now. Throws no errors.
void track_child_look(long timeout_ms);
/// Ends it; `hurry`: the server is shutting down.
void track_child_stop(bool hurry);

}  // namespace ark
