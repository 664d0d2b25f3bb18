// Whether WAL reaches the repository as it is written, and if not, what to change.
#include "server/preflight.hpp"
#include "server/settings.hpp"
#include "server/sql_call.hpp"
#include "server/wal_conninfo.hpp"
#include "server/wal_status.hpp"

extern "C" {
#include "access/xlog.h"
#include "miscadmin.h"
#include "replication/walsender.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

constexpr char kName[] = "wal_streaming";

struct Rest {
    const char* state;
    const char* reason;
};
const Rest kRests[] = {
    {"off", "off: pg_ark.wal_streaming is off, WAL goes to the repository by segments"},
    {"not_archiving", "off as long as the server does not archive with pg_ark"},
    {"clone", "off: a restored copy streams nothing"},
    {"no_repository", "off until something is stored in the repository"},
};

// Of a state in which nothing is to be streamed, why that is as it should be; else NULL. What is
// wrong with archiving has rows of its own.
const char* reason_to_rest(const char* state) {
    for (const Rest& rest : kRests) {
        if (strcmp(rest.state, state) == 0)
            return rest.reason;
    }
    return nullptr;
}

// What to do about the words of libpq or of this server. They may be in another language: then the
// documentation is named.
const char* hint_for(const JobError& error) {
    if (max_wal_senders == 0 || strstr(error.message, "max_wal_senders") != nullptr ||
        strstr(error.detail, "max_wal_senders") != nullptr)
        return psprintf("Raise max_wal_senders (now %d) and restart the server.", max_wal_senders);
    const bool hba = strstr(error.message, "pg_hba.conf") != nullptr ||
                     strstr(error.detail, "pg_hba.conf") != nullptr ||
                     strstr(error.message, "authentication failed") != nullptr ||
                     strstr(error.detail, "authentication failed") != nullptr;
    const char* user = wal_conninfo_user();
    if (hba && user[0] != '\0')
        return psprintf(
            "Add the line \"local replication %s peer\" to pg_hba.conf, above others "
            "that begin with \"local replication\" or \"local all\", and reload.",
            quote_identifier(user));
    if (hba)
        return "Allow replication connections as pg_ark.wal_conninfo makes them in pg_hba.conf, "
               "and reload.";
    if (error.hint[0] != '\0')
        return pstrdup(error.hint);
    return "See ark.wal_status, and docs/wal-streaming.md.";
}

void put_trouble(CheckSink* sink, const WalStatus& status) {
    const char* archiving = "; WAL goes to the repository by segments";
    if (status.error.sqlstate == 0)
        return put_check(sink, {kName, max_wal_senders > 0,
                                psprintf("%s%s", status.state, archiving), hint_for(status.error)});
    put_check(sink, {kName, false,
                     psprintf("%s: %s%s%s (%s)%s", status.state, status.error.message,
                              status.error.detail[0] != '\0' ? ": " : "", status.error.detail,
                              timestamptz_to_str(status.error_at), archiving),
                     hint_for(status.error)});
}

}  // namespace

void check_wal_streaming(CheckSink* sink) {
    // Rows before this one say so.
    if (shared == nullptr || RecoveryInProgress())
        return;
    const WalStatus* status = copy_of_wal_status();
    if (status->worker_pid == 0)
        return put_check(sink, {kName, false, "pg_ark's WAL worker is not running",
                                "It starts with the server and again 10 seconds after it ended. "
                                "See the server's log; max_worker_processes may be too low."});
    if (const char* reason = reason_to_rest(status->state))
        return put_check(sink, {kName, true, reason, nullptr});
    if (strcmp(status->state, "streaming") == 0 || strcmp(status->state, "starting") == 0)
        return put_check(sink,
                         {kName, true,
                          psprintf("%s%s%s", status->state,
                                   status->durable != InvalidXLogRecPtr
                                       ? psprintf(", durable up to %s", lsn_text(status->durable))
                                       : "",
                                   status->sync ? ", commits wait for it" : ""),
                          nullptr});
    if (strcmp(status->state, "catching_up") == 0)
        return put_check(sink,
                         {kName, true,
                          psprintf("waits until " UINT64_FORMAT " finished segments are archived",
                                   status->waiting),
                          nullptr});
    if (strcmp(status->state, "gap") == 0)
        return put_check(sink, {kName, false,
                                psprintf("segment %s, which the newest backup needs, is missing "
                                         "from the repository",
                                         status->missing),
                                "Take a full backup: SELECT ark.create_manual_backup('...')."});
    put_trouble(sink, *status);
}

}  // namespace ark
