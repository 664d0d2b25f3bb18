#pragma once
/// Shared memory: the table of jobs and what the archiver and the WAL worker tell. All of it is
/// guarded by one LWLock and lost in a crash of the server: what must outlive that is in
/// ark.backup_log and in the repository.
#include "server/pg_version.hpp"

extern "C" {
#include "access/xlogdefs.h"
#include "datatype/timestamp.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
}

namespace ark {

inline constexpr int kJobSlots = 24;
/// Tests leave these free: a backup and a sweep find a slot whatever else is going on.
inline constexpr int kReservedSlots = 4;
inline constexpr int kBackupIdSize = 64;
inline constexpr int kReasonSize = 4096 + 1;
inline constexpr int kUuidSize = 37;
inline constexpr int kAskedSize = 64;
inline constexpr int kStepsSize = 256;
inline constexpr int kTokenSize = 32;
inline constexpr int kDoingSize = 256;
inline constexpr int kWalNameSize = 64;
inline constexpr int kRepositoryIdSize = 64;
inline constexpr int kClientSize = 64;
inline constexpr int kFlushSamples = 128;
/// A sample each five seconds, so that five minutes are seen.
inline constexpr int kRateSamples = 61;
inline constexpr int kUnprotectedHours = 24;

enum class JobKind : int {
    kBackup,
    kSweep,
    kRestoreTest,
    kVerification,
    kAudit,
    kIntegrity,
    kSchedule
};

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

/// Who acts, and from where: what ark.audit_log says of it. "" where it does not apply.
struct AuditActor {
    char session_role[NAMEDATALEN];
    char acting_role[NAMEDATALEN];  ///< current_user
    char client[kClientSize];       ///< address; "[local]" for a Unix socket
    char application[NAMEDATALEN];
    char backend[NAMEDATALEN];  ///< kind of process, as in pg_stat_activity
    int pid;
};

/// What a job is asked to do. A backup is known by its backup_id, a test, a verification or a run
/// of integrity checks by its test_id.
struct JobRequest {
    char backup_id[kBackupIdSize];  ///< the backup to take, or to test; "": none
    char test_id[kUuidSize];        ///< "" for a backup
    char backup_type[kTokenSize];   ///< what users see: manual, full; "" for a test
    char category[kTokenSize];      ///< of integrity checks; "": all
    char reason[kReasonSize];       ///< of a test: its notes; of integrity checks: options, JSON
    char created_by[kUuidSize];     ///< "" where not given
    char role[NAMEDATALEN];
    char act[kTokenSize];          ///< the function that was called; "": by pg_ark itself
    AuditActor actor;              ///< who called it
    int jobs;                      ///< 0: as the setting says
    int compression_level;         ///< 0: as the setting says
    double audit_fraction;         ///< below 0: as the setting says
    char compacts[kBackupIdSize];  ///< the backup that this one is made of; "": it is taken
    bool audits_changes;           ///< a verification: of what the backup calls unchanged
    bool verifies_all;             ///< a verification: also what was verified a short while ago
    bool drill;                    ///< a restore test with a target and checks of its own;
                 ///< backup_id "": what leads to the target, which the child finds
    char target[kTokenSize];  ///< of a drill: consistency, latest, random, time
    uint64 target_time;       ///< Unix microseconds
    char asked[kAskedSize];   ///< the caller's word for it
    uint64 seed;              ///< 0: none was given
    char steps[kStepsSize];   ///< names with commas between them; "": all
};

struct JobProgress {
    char phase[kTokenSize];
    char doing[kDoingSize];    ///< of a test: what it is at, for people
    uint64 done, total;        ///< of a test: in its phase
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

/// What a test came to.
enum class Verdict : int { kUnknown, kGood, kDamaged };

struct Job {
    uint64 generation;  ///< tells one use of the slot from the next, and the older from the newer
    JobKind kind;
    JobState state;
    bool withdrawn;         ///< the caller gave up before the row was there
    bool cancel_requested;  ///< by ark.cancel_backup, ark.cancel_restore_test or a caller's end
    bool admitted;          ///< a restore test whose turn has come
    bool row_visible;       ///< the row is committed, also where the job has ended since
    pid_t caller_pid;       ///< 0: nobody waits for the start (of a test: for its end)
    Latch* caller_latch;
    pid_t worker_pid;  ///< 0: none yet
    TimestampTz requested_at;
    JobRequest request;
    JobProgress progress;
    Verdict verdict;
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
    uint64 tries;   ///< failed ones since failing_since
    bool conflict;  ///< what lasts is that another server has written here, as the archiver found
    JobError error;
};

/// Up to where WAL had been flushed, and when that was last so.
struct FlushSample {
    XLogRecPtr lsn;
    TimestampTz last_seen;
};

/// What rates are made of.
struct RateSample {
    TimestampTz at;
    uint64 pieces, stored;  ///< so far: pieces of the streaming child, files of the archiver
    uint64 wal_bytes;       ///< segments in pg_wal
};

/// What the WAL worker tells of itself and its child. The counters are of all children since the
/// start of the server.
struct WalStatus {
    pid_t worker_pid;  ///< 0: not running
    pid_t child_pid;
    pid_t walsender_pid;     ///< 0: not connected
    char state[kTokenSize];  ///< docs/sql-api.md, ark.wal_status
    char repository_id[kRepositoryIdSize];
    bool sync;  ///< commits wait for the child
    uint32 timeline;
    XLogRecPtr durable;  ///< contiguous; invalid: not known
    XLogRecPtr received;
    TimestampTz durable_at;
    char missing[kWalNameSize];  ///< first segment that is lost; "": none
    uint64 pieces, segments, retries, waiting;
    TimestampTz updated_at;
    bool conflict;   ///< the child found that another server writes this timeline: nobody here may
    JobError error;  ///< the last
    TimestampTz error_at;
    FlushSample flushed[kFlushSamples];  ///< in the order of LSN and time
    int flushed_count;
    RateSample rates[kRateSamples];  ///< a ring
    uint64 rates_count;              ///< ever put into it
};

/// What the WAL worker tells of its other child, which keeps change tables. The counters are of all
/// children since the start of the server.
struct ChangeStatus {
    pid_t child_pid;         ///< 0: not running
    char state[kTokenSize];  ///< docs/sql-api.md, ark.change_tracking
    uint32 timeline;
    XLogRecPtr position;       ///< WAL before it was read
    XLogRecPtr stored;         ///< WAL before it is in tables that are stored; invalid: not known
    bool hurry;                ///< somebody waits: the child is to know at once what is flushed
    TimestampTz behind_since;  ///< 0: it keeps up
    uint64 tables, segments, bytes, gaps;
    char last_gap[kReasonSize / 4];
    uint64 cpu_micros, reading_micros;  ///< all of it; what it took to read WAL
    XLogRecPtr since;                   ///< invalid: the next two are not known
    uint64 blocks, relations;           ///< changed since then
    uint64 audit_misses;                ///< by whoever takes backups
    JobError error;                     ///< the last
    TimestampTz error_at;
};

/// How the audit log fares. Guarded by audit_lock, as the spool is.
struct AuditStatus {
    bool requested;          ///< something waits to be written
    TimestampTz not_before;  ///< the next writer
    int failures;            ///< of writers, in a row
    uint64 lost;             ///< entries that had no room, or could not be read
    TimestampTz last_written_at;
    JobError error;      ///< why the last writer failed; sqlstate 0: it did not
    bool mirror_wanted;  ///< rows wait for the repository, after a failure
    TimestampTz mirror_not_before;
    int mirror_failures;  ///< in a row
    TimestampTz last_mirrored_at;
    JobError mirror_error;
};

/// The most that would have been lost in a piece of an hour.
struct UnprotectedHour {
    TimestampTz from, until;
    int64 worst;             ///< microseconds; below 0: never known
    TimestampTz unknown_at;  ///< when it was last not known; 0: it always was
};

/// When the schedule of drills is to be looked at.
struct ScheduleStatus {
    bool requested;       ///< soon
    TimestampTz next_at;  ///< when the next drill is due; 0: none is
    TimestampTz last_at;  ///< when it was last looked at
};

struct Shared {
    LWLock* lock;
    LWLock* audit_lock;  ///< never taken while `lock` is held
    pid_t launcher_pid;  ///< 0: not running
    Latch* launcher_latch;
    Latch* wal_worker_latch;  ///< NULL: not running
    uint64 last_generation;
    bool sweep_requested;
    TimestampTz sweep_not_before;
    int sweep_failures;  ///< in a row
    TimestampTz last_sweep_at;
    Job jobs[kJobSlots];
    uint64 backups_begun, backups_ended;  ///< jobs, since the start of the server
    ArchiverStatus archiver;
    WalStatus wal;
    ChangeStatus changes;
    AuditStatus audit;
    ScheduleStatus schedule;
    UnprotectedHour unprotected[kUnprotectedHours];  ///< a ring
    uint64 unprotected_count;                        ///< ever put into it
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

/// Whether a pause that ends at this time (0: none) is over. Also where the clock was set back so
/// far that it would take longer than any pause does.
bool pause_is_over(TimestampTz end);

/// Asks the launcher to sweep soon (a row and the repository may contradict each other).
void request_sweep();
/// Asks the launcher to look at the schedule of drills soon.
void request_schedule();
void wake_launcher();

/// Copies text (NULL: nothing) to a field of `size` bytes, cut between characters where it is
/// longer: the copy ends in messages and rows.
void copy_text(char* to, size_t size, const char* from);

/// Copies the error that is being handled (PG_CATCH has copied it) to where others can read it.
void copy_error(JobError* to, const ErrorData& error);
/// Throws what copy_error kept; `prefix` comes before the message. A NULL hint leaves the kept one.
[[noreturn]] void throw_error(const JobError& error, const char* prefix);

}  // namespace ark
