#pragma once
/// The rows of ark.audit_log. Every function runs inside begin_sql/commit_sql.
#include "server/shared.hpp"

namespace ark {

/// A job begins: its row here is committed with the job's own, so that there is no job without it.
void insert_audit_accepted(const JobRequest& request);
/// And ends: completed, failed, cancelled. Nothing where it is said already, or its beginning is
/// not here (another server's backup). `target`: backup or test.
void insert_audit_end(const char* target, const char* outcome, int sqlstate, const char* message);

/// Lines of the spool. A line that came before changes nothing. Refusals that are alike become one
/// row, so that whoever calls in a loop fills no disk.
void insert_audit_lines(const char* lines);
/// Entries that were lost.
void insert_audit_loss(uint64 entries);
/// Removes what is older than pg_ark.audit_retention says; `mirrored_only`: and in the repository.
void expire_audit_rows(bool mirrored_only);

}  // namespace ark
