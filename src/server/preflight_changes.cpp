// Whether incremental backups will know what changed, and if not, what to change.
#include "server/change_status.hpp"
#include "server/preflight.hpp"
#include "server/sql_call.hpp"

extern "C" {
#include "access/xlog.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

constexpr char kName[] = "change_tracking";
constexpr int kLongBehindMs = 10 * 60 * 1000;

struct Rest {
    const char* state;
    const char* reason;
};
const Rest kRests[] = {
    {"off", "off: pg_ark.change_tracking is off, incremental backups read WAL themselves"},
    {"not_archiving", "off as long as the server does not archive with pg_ark"},
    {"clone", "off: a restored copy tracks nothing"},
    {"no_repository", "off until something is stored in the repository"},
};

const char* with_gaps(const ChangeStatus& status, const char* text) {
    if (status.gaps == 0)
        return text;
    return psprintf("%s; " UINT64_FORMAT " gaps, the last: %s", text, status.gaps, status.last_gap);
}

}  // namespace

void check_change_tracking(CheckSink* sink) {
    // Rows before this one say so.
    if (shared == nullptr || RecoveryInProgress())
        return;
    const ChangeStatus* status = copy_of_change_status();
    if (status->state[0] == '\0')
        return put_check(sink, {kName, false, "pg_ark's WAL worker is not running",
                                "Incremental backups read WAL themselves, or are full ones. See "
                                "the row wal_streaming."});
    for (const Rest& rest : kRests) {
        if (strcmp(rest.state, status->state) == 0)
            return put_check(sink, {kName, true, rest.reason, nullptr});
    }
    const bool trouble =
        strcmp(status->state, "stopped") == 0 || strcmp(status->state, "retrying") == 0;
    const bool behind =
        status->behind_since != 0 &&
        TimestampDifferenceExceeds(status->behind_since, GetCurrentTimestamp(), kLongBehindMs);
    const char* where = status->position != InvalidXLogRecPtr
                            ? psprintf("%s, up to %s", status->state, lsn_text(status->position))
                            : status->state;
    if (trouble)
        where = psprintf("%s: %s%s%s", where, status->error.message,
                         status->error.detail[0] != '\0' ? ": " : "", status->error.detail);
    if (behind)
        where = psprintf("%s; behind since %s", where, timestamptz_to_str(status->behind_since));
    put_check(sink, {kName, !trouble && !behind, with_gaps(*status, where),
                     !trouble && !behind ? nullptr
                     : trouble && status->error.hint[0] != '\0'
                         ? pstrdup(status->error.hint)
                         : "See ark.change_tracking, and docs/incremental.md."});
}

}  // namespace ark
