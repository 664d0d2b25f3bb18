// The checks that need nothing but the server.
#include <ctime>

#include "server/preflight.hpp"
#include "server/settings.hpp"
#include "server/shared.hpp"
#include "server/sql_call.hpp"
#include "server/wal_directory.hpp"

extern "C" {
#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

// A cluster without a backup for longer is told so.
constexpr int kOldBackupDays = 7;
// A job and its helper for relation names.
constexpr int kWorkersWanted = 2;

}  // namespace

void check_archiving(CheckSink* sink) {
    if (shared == nullptr)
        return;
    lock_shared(LW_SHARED);
    const ArchiverStatus status = shared->archiver;
    unlock_shared();
    const WaitingFiles waiting = waiting_files(0);
    if (status.failing_since != 0)
        return put_check(
            sink, {"archiving", false,
                   psprintf("fails since %s (" UINT64_FORMAT " tries, %d files wait): %s",
                            timestamptz_to_str(status.failing_since), status.tries, waiting.files,
                            status.error.message),
                   status.error.hint[0] != '\0' ? pstrdup(status.error.hint)
                                                : "See ark.archiver_status."});
    const double age = waiting.files > 0 ? difftime(time(nullptr), waiting.oldest) : 0;
    if (age > 2.0 * settings.push_timeout_s)
        return put_check(sink, {"archiving", false,
                                psprintf("%d files wait, the oldest for %.0f s, and nothing moves",
                                         waiting.files, age),
                                "See the server's log and pg_stat_archiver."});
    put_check(sink, {"archiving", true,
                     status.last_stored_at == 0
                         ? "no file was due since the start of the server"
                         : psprintf("last file %s at %s, %d wait", status.last_name,
                                    timestamptz_to_str(status.last_stored_at), waiting.files),
                     nullptr});
}

void check_pages(CheckSink* sink) {
    put_check(sink, {"data_checksums", DataChecksumsEnabled(),
                     DataChecksumsEnabled() ? "on" : "off: damaged pages cannot be recognised",
                     "Stop the server and run pg_checksums --enable."});
    put_check(sink, {"full_page_writes", fullPageWrites,
                     fullPageWrites ? "on" : "off: a crash can leave torn pages",
                     "Set full_page_writes to on."});
}

// The server does not tell which slots are taken; what runs is counted. A worker without a database
// is not shown there.
void check_workers(CheckSink* sink) {
    bool streams = false;
    if (shared != nullptr) {
        lock_shared(LW_SHARED);
        streams = shared->wal.worker_pid != 0;
        unlock_shared();
    }
    sql("SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type "
        "<> ALL (ARRAY['client backend', 'autovacuum launcher', "
        "'autovacuum worker', 'background writer', 'checkpointer', 'walwriter', 'walsender', "
        "'walreceiver', 'startup', 'archiver', 'walsummarizer', 'slotsync worker', 'io worker', "
        "'standalone backend'])");
    const int running = atoi(result(0, 1)) + (streams ? 1 : 0);
    put_check(sink, {"worker_slots", max_worker_processes - running >= kWorkersWanted,
                     psprintf("%d of max_worker_processes = %d run", running, max_worker_processes),
                     "Raise max_worker_processes and restart the server."});
}

void check_timeouts(CheckSink* sink) {
    put_check(sink,
              {"timeouts", settings.wal_timeout_s > settings.push_timeout_s,
               psprintf("pg_ark.wal_timeout %d s, pg_ark.push_timeout %d s", settings.wal_timeout_s,
                        settings.push_timeout_s),
               "A backup waits for WAL that one slow file may hold up: set pg_ark.wal_timeout "
               "above pg_ark.push_timeout."});
}

void check_last_backup(CheckSink* sink) {
    sql("SELECT max(completed_at), max(completed_at) > now() - make_interval(days => $1::int4) "
        "FROM ark.backup_log WHERE status = 'completed'",
        number_text(kOldBackupDays));
    const char* last = result(0, 1);
    const char* recent = result(0, 2);
    put_check(sink, {"last_backup", recent != nullptr && strcmp(recent, "t") == 0,
                     last != nullptr ? psprintf("completed at %s", last) : "there is no backup",
                     "Take one: SELECT ark.create_manual_backup('...')."});
}

}  // namespace ark
