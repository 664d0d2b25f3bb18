#pragma once
/// Shared memory: the table of jobs and what the archiver tells. All of it is guarded by one LWLock
/// and lost in a crash of the server: what must outlive that is in ark.backup_log and in the
/// repository.
#include "server/pg_version.hpp"

extern "C" {
#include "access/xlogdefs.h"
#include "datatype/timestamp.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
}

namespace ark {

inline constexpr int kJobSlots = 16;
inline constexpr int kBackupIdSize = 64;
inline constexpr int kReasonSize = 4096 + 1;
inline constexpr int kUuidSize = 37;
inline constexpr int kTokenSize = 32;
inline constexpr int kWalNameSize = 64;

enum class JobKind : int { kBackup, kSweep };

/// A slot goes through these in order; from any of them to kEnded.
enum class JobState : int {
    kFree,
    kRequested,   ///< by a backend; the launcher is to start a worker
    kStarting,    ///< the launcher has registered the worker
    kAttached,    ///< the worker runs
    kCommitting,  ///< the worker commits the row: too late to withdraw
    kVisible,     ///< the row is committed
    kEnded,       ///< the slot may be taken again unless somebody is waiting
};

/// What a backup is asked to be.
struct JobRequest {
    char backup_id[kBackupIdSize];
    char backup_type[kTokenSize];  ///< what users see: manual, full
    char reason[kReasonSize];
    char created_by[kUuidSize];  ///< "" where not given
    char role[NAMEDATALEN];
    int jobs;               ///< 0: as the setting says
    int compression_level;  ///< 0: as the setting says
};

struct JobProgress {
    char phase[kTokenSize];
    char segment[kTokenSize];  ///< the WAL segment waited for
    uint64 files, files_total, bytes, bytes_total, stored, corrupt_pages;
    TimestampTz copy_started_at;  ///< 0: not yet
    TimestampTz updated_at;
};

/// Why a job ended. sqlstate 0: without an error.
struct JobError {
    int sqlstate;
    char message[1024];
    char detail[1024];
    char hint[1024];
};

struct Job {
    uint64 generation;  ///< tells one use of the slot from the next
    JobKind kind;
    JobState state;
    bool withdrawn;         ///< the caller gave up before the row was there
    bool cancel_requested;  ///< by ark.cancel_backup
    bool row_visible;       ///< the row is committed, also where the job has ended since
    pid_t caller_pid;       ///< 0: nobody waits for the start
    Latch* caller_latch;
    pid_t worker_pid;  ///< 0: none yet
    TimestampTz requested_at;
    JobRequest request;
    JobProgress progress;
    JobError error;
};

/// What the archive module tells about itself.
struct ArchiverStatus {
    pid_t pid;
    uint64 stored_count, failed_count;
    uint64 ahead;  ///< segments stored before they were asked for
    char last_name[kWalNameSize];
    TimestampTz last_stored_at;
    char failing_name[kWalNameSize];
    TimestampTz failing_since;  ///< 0: not failing
    TimestampTz last_failed_at;
    uint64 tries;  ///< failed ones since failing_since
    JobError error;
};

struct Shared {
    LWLock* lock;
    pid_t launcher_pid;  ///< 0: not running
    Latch* launcher_latch;
    uint64 last_generation;
    bool sweep_requested;
    TimestampTz sweep_not_before;
    int sweep_failures;  ///< in a row
    TimestampTz last_sweep_at;
    Job jobs[kJobSlots];
    ArchiverStatus archiver;
};

/// NULL where the library was not preloaded. Set in the postmaster, inherited or attached by every
/// process.
extern Shared* shared;

/// Installs the hooks that ask for shared memory. Only while shared_preload_libraries is processed.
void request_shared_memory();

/// Takes the lock for one block: `with (LW_SHARED) { ... }` without longjmp in between. Released by
/// unlock_shared, or by the server's error handling.
void lock_shared(LWLockMode mode);
void unlock_shared();

/// Asks the launcher to sweep soon (a row and the repository may contradict each other).
void request_sweep();
void wake_launcher();

/// Copies the error that is being handled (PG_CATCH has copied it) to where others can read it.
void copy_error(JobError* to, const ErrorData& error);
/// Throws what copy_error kept; `prefix` comes before the message. A NULL hint leaves the kept one.
[[noreturn]] void throw_error(const JobError& error, const char* prefix);

}  // namespace ark
