#pragma once
/// The rows of a backup in ark.backup_log and ark.backup_verification. Every function runs inside
/// begin_sql/commit_sql.
#include "server/corrupt_pages.hpp"
#include "server/shared.hpp"

namespace ark {

/// What a completed backup is known by. Strings may be NULL.
struct BackupResult {
    uint32 timeline;
    XLogRecPtr start_lsn, stop_lsn;
    char* start_segment;
    char* stop_segment;
    uint64 files, database_bytes, stored_bytes, corrupt_pages;
    uint64 completed_at;  ///< Unix microseconds
    char* repository_id;
    char* requests;      ///< what it cost on the store's bill, in words; empty where there is none
    List* corrupt;       ///< of CorruptPage*: the first of them
    const char* parent;  ///< NULL for a full backup
    const char* full_because;  ///< why it is one where another type was asked for; NULL otherwise
    bool is_compacted;         ///< made of another in the repository
    uint64 changed_blocks, audited_blocks, audit_misses;  ///< of one that has a parent
};

/// Why and where a backup ended without being one.
struct BackupFailure {
    const char* status;  ///< failed or cancelled
    int sqlstate;
    const char* message;
    const char* detail;  ///< may be NULL, as hint
    const char* hint;
    const char* phase;
    bool leftovers;  ///< what it wrote may still be in the repository: the sweep looks again
};

/// The directory of this cluster in the repository.
const char* cluster_name();
void insert_backup_row(const JobRequest& request, TimestampTz started_at);
/// The row of a running backup becomes `completed`, with a row in backup_verification.
void complete_backup_row(const char* backup_id, const BackupResult& result);
/// The same from the commit marker's JSON, for a backup whose end this server did not see; inserts
/// the row where it is missing. Whether anything changed.
bool adopt_marker(const char* backup_id, const char* json, const char* repository_id);
/// Fills in the row of a backup whose marker this server could not read when it adopted it, from
/// the whole marker. False where there is nothing to fill in.
bool complete_outline(const char* backup_id, const char* json);
void fail_backup_row(const char* backup_id, const BackupFailure& failure);

}  // namespace ark
