#include "server/walsender.hpp"

extern "C" {
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "storage/spin.h"
}

namespace ark {

namespace {

// 0: any.
bool is_synchronous(pid_t pid) {
    bool found = false;
    if (WalSndCtl == nullptr)
        return false;
    for (int i = 0; i < max_wal_senders && !found; i++) {
        WalSnd* sender = &WalSndCtl->walsnds[i];
        SpinLockAcquire(&sender->mutex);
        found = sender->pid != 0 && (pid == 0 || sender->pid == pid) &&
                sender->sync_standby_priority > 0;
        SpinLockRelease(&sender->mutex);
    }
    return found;
}

}  // namespace

// Not by the name: another client may have it too, and quorum and priority are the server's to
// judge.
bool walsender_is_synchronous(pid_t pid) {
    return pid != 0 && is_synchronous(pid);
}

bool any_walsender_is_synchronous() {
    return is_synchronous(0);
}

}  // namespace ark
