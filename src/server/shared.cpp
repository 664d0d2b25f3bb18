#include "server/shared.hpp"

extern "C" {
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"
}

namespace ark {

Shared* shared = nullptr;

namespace {

constexpr char kName[] = "pg_ark";
shmem_request_hook_type previous_request_hook = nullptr;
shmem_startup_hook_type previous_startup_hook = nullptr;

void on_request() {
    if (previous_request_hook != nullptr)
        previous_request_hook();
    RequestAddinShmemSpace(sizeof(Shared));
    RequestNamedLWLockTranche(kName, 2);
}

void on_startup() {
    if (previous_startup_hook != nullptr)
        previous_startup_hook();
    bool found = false;
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    shared = static_cast<Shared*>(ShmemInitStruct(kName, sizeof(Shared), &found));
    if (!found) {
        memset(static_cast<void*>(shared), 0, sizeof(Shared));
        LWLockPadded* locks = GetNamedLWLockTranche(kName);
        shared->lock = &locks[0].lock;
        shared->audit_lock = &locks[1].lock;
        shared->sweep_requested = true;
        // A crash may have left a spool.
        shared->audit.requested = true;
        shared->schedule.requested = true;
    }
    LWLockRelease(AddinShmemInitLock);
}

}  // namespace

void request_shared_memory() {
    previous_request_hook = shmem_request_hook;
    shmem_request_hook = on_request;
    previous_startup_hook = shmem_startup_hook;
    shmem_startup_hook = on_startup;
}

void lock_shared(LWLockMode mode) {
    LWLockAcquire(shared->lock, mode);
}

void unlock_shared() {
    LWLockRelease(shared->lock);
}

void wake_launcher() {
    // A latch of a process that has gone is at worst set for nothing.
    lock_shared(LW_SHARED);
    Latch* latch = shared->launcher_latch;
    unlock_shared();
    if (latch != nullptr)
        SetLatch(latch);
}

bool pause_is_over(TimestampTz end) {
    constexpr int kLongestMs = 2 * 3600 * 1000;
    const TimestampTz now = GetCurrentTimestamp();
    return end <= now || end > TimestampTzPlusMilliseconds(now, kLongestMs);
}

void request_sweep() {
    lock_shared(LW_EXCLUSIVE);
    shared->sweep_requested = true;
    unlock_shared();
    wake_launcher();
}

void request_schedule() {
    lock_shared(LW_EXCLUSIVE);
    shared->schedule.requested = true;
    unlock_shared();
    wake_launcher();
}

void copy_text(char* to, size_t size, const char* from) {
    const int room = static_cast<int>(size) - 1;
    const int length = from == nullptr ? 0 : static_cast<int>(strlen(from));
    const int kept = length <= room ? length : pg_mbcliplen(from, length, room);
    if (kept > 0)
        memcpy(to, from, kept);
    to[kept] = '\0';
}

void copy_error(JobError* to, const ErrorData& error) {
    to->sqlstate = error.sqlerrcode;
    copy_text(to->message, sizeof(to->message), error.message);
    copy_text(to->detail, sizeof(to->detail), error.detail);
    copy_text(to->hint, sizeof(to->hint), error.hint);
}

void throw_error(const JobError& error, const char* prefix) {
    ereport(ERROR, (errcode(error.sqlstate), errmsg_internal("%s%s", prefix, error.message),
                    error.detail[0] != '\0' ? errdetail_internal("%s", error.detail) : 0,
                    error.hint[0] != '\0' ? errhint("%s", error.hint) : 0));
    pg_unreachable();
}

}  // namespace ark
