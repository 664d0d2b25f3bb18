#pragma once
/// Acts on their way to ark.audit_log: a file beside the WAL, to which whoever acts appends a line
/// and which a worker empties into the table. It is there, and not in shared memory, so that
/// neither a rollback nor the end of any process, nor that of the server, takes an entry with it;
/// what the operating system had not written when it crashed is lost. It holds a megabyte at most,
/// and of refusals three quarters of one; what has no room is counted. Backups do not copy pg_wal's
/// files, so that no restored cluster has it.
#include "server/shared.hpp"

namespace ark {

inline constexpr size_t kMostSpooled = 1024 * 1024;
inline constexpr size_t kMostRefusals = kMostSpooled / 4 * 3;

/// One line. Strings may be NULL but act and outcome.
struct AuditEntry {
    const char* act;
    const char* outcome;
    const char* target;
    const char* backup_id;
    const AuditActor* actor;
    int sqlstate;  ///< 0: none
    const char* message;
    /// Of a refusal by PostgreSQL itself, which tells no schema: whose right is to be looked for
    /// before the entry counts. InvalidOid: it counts.
    Oid doubtful_role;
};

/// Appends it and asks for a writer. Never throws, looks nothing up, needs no memory: it may run
/// while an error is being handled.
void spool_audit(const AuditEntry& entry);

/// The writer's side. Lines, each a JSON object, that nobody appends to any more; NULL: there are
/// none. palloc'd. The same again until forget_taken was called.
char* take_spooled();
void forget_taken();
/// Bytes that wait.
uint64 spooled_bytes();
void count_lost(uint64 entries);

/// Asks the launcher to start a writer.
void request_audit();

}  // namespace ark
