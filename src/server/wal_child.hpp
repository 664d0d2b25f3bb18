#pragma once
/// What the WAL worker's children (streaming, tracking) have in common: how one is started and
/// ended, when it is started again, and how its errors are told. All of it belongs to the worker's
/// process.
#include "server/conversation.hpp"
#include "server/throttle.hpp"

namespace ark {

struct WalChild {
    const char* role;              ///< "server-stream"
    const char* trouble;           ///< what is wrong where it has an error: a message of the log
    Child* child = nullptr;        ///< NULL: it does not run
    char* started_with = nullptr;  ///< its signature, in TopMemoryContext
    bool said_why = false;         ///< it has said why it will end
    bool in_trouble = false;       ///< an error was logged, and its end was not
    Throttle error_throttle = {};
    int pause_ms = 0;  ///< before the next start; 0: none
    TimestampTz not_before = 0;
};

/// Everything that any of them has been told or was made from, and `more`: where it changes another
/// child has to be started. palloc'd.
char* wal_child_signature(const char* more);
/// Starts the program in its role. Says nothing to it.
void wal_child_start(WalChild* self, const char* signature);
/// Ends it, if it runs; `hurry`: the server is shutting down.
void wal_child_stop(WalChild* self, bool hurry, int polite_ms);
/// Whether it runs and was started under another signature.
bool wal_child_is_outdated(const WalChild& self, const char* signature);

/// It has closed its output. The error to tell; sqlstate 0 where it has said why by itself.
JobError wal_child_end(const WalChild& self);
/// Logs an error, the same kind not more often than each `interval_ms`.
void wal_child_log_error(WalChild* self, const JobError& error, int interval_ms);
/// Logs a warning of the child.
void wal_child_log_warning(Throttle* throttle, const Message& message);

/// No start before the pause is over. It doubles from start to start.
void wal_child_pause_for(WalChild* self, int ms);
void wal_child_pause_longer(WalChild* self);
bool wal_child_may_start(const WalChild& self);

}  // namespace ark
