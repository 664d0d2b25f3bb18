#pragma once
/// What the background workers of pg_ark share: signals, session settings, short transactions,
/// exit.
#include "server/shared.hpp"

extern "C" {
#include "postmaster/bgworker.h"
}

namespace ark {

/// Installs the handlers of a worker that does SQL and unblocks signals: SIGTERM makes the next
/// interrupt check throw (so that a row can be written before the exit) and sets
/// `worker_is_ending`; SIGINT cancels. A reload is not for it: a job keeps the settings it began
/// with.
void install_worker_signals();
bool worker_is_ending();

/// Sets what a long job needs, over what ALTER DATABASE and ALTER ROLE say. After the connection is
/// made.
void set_session_defaults();

/// Of a worker that somebody waits for: a lock is waited for two seconds, and the wait throws then.
/// Before the connection is made, which waits for whoever renames the database; and again after
/// set_session_defaults.
void limit_lock_waits();

/// Ends a worker that this process has started, and waits some seconds for it. One that runs code
/// that looks at no signal cannot be ended without ending the server: it is left alone then. Throws
/// nothing.
void stop_worker(BackgroundWorkerHandle* worker);

/// A short transaction with SPI and a snapshot. Errors are cleaned up by take_error.
void begin_sql(const char* activity);
void commit_sql();

/// For a PG_CATCH that does not throw on: copies the error into `context`, and ends transactions
/// and locks. The process can go on afterwards.
ErrorData* take_error(MemoryContext context);

/// Whether the extension pg_ark is created and visible in this database. Inside a transaction.
bool extension_is_here();

}  // namespace ark
