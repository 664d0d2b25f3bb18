#include "server/stream_child.hpp"

#include "server/settings.hpp"
#include "server/sql_call.hpp"
#include "server/wal_child.hpp"
#include "server/wal_conninfo.hpp"
#include "server/walsender.hpp"

extern "C" {
#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

constexpr int64 kOpenMs = INT64CONST(60) * 1000;
// A store that is away for longer is tried again by a new conversation with it.
constexpr int kMostRetrySeconds = 30;
// It promises to be gone half a second after its input has closed.
constexpr int kPoliteMs = 1000;
constexpr int kMinuteMs = 60 * 1000;
constexpr int kWarningIntervalMs = 10 * kMinuteMs;

enum class Told { kNothing, kAsynchronous, kSynchronous };

WalChild self = {"server-stream", "WAL is not streamed to the repository"};
bool (*give_up_opening)() = nullptr;
Told told_mode = Told::kNothing;
Throttle warning_throttle;
bool said_conflict = false;  // the last that it said before it ended
// What the children before this one came to.
uint64 pieces_before = 0, segments_before = 0, retries_before = 0;

char* present_signature() {
    return wal_child_signature(psprintf("%d|%s", settings.wal_stream_interval_ms, wal_conninfo()));
}

TimestampTz end_of_opening() {
    return give_up_opening() ? 0 : PG_INT64_MAX;
}

void publish_start() {
    lock_shared(LW_EXCLUSIVE);
    WalStatus* status = &shared->wal;
    status->child_pid = self.child->pid;
    pieces_before = status->pieces;
    segments_before = status->segments;
    retries_before = status->retries;
    unlock_shared();
}

// What is durable in one repository says nothing of another.
void publish_repository(const char* id) {
    lock_shared(LW_EXCLUSIVE);
    WalStatus* status = &shared->wal;
    if (strcmp(status->repository_id, id) != 0) {
        status->durable = status->received = InvalidXLogRecPtr;
        status->durable_at = 0;
    }
    strlcpy(status->repository_id, id, sizeof(status->repository_id));
    unlock_shared();
}

void begin_streaming() {
    StringInfoData out;
    initStringInfo(&out);
    message_begin(&out, "stream");
    message_text(&out, "conninfo", wal_conninfo());
    message_number(&out, "timeline", GetWALInsertionTimeLine());
    message_number(&out, "interval_ms", static_cast<uint64>(settings.wal_stream_interval_ms));
    message_end(&out);
    child_send(self.child, out);
}

void take_connected(const Message& message) {
    const auto pid = static_cast<pid_t>(get_number(message, "pid"));
    lock_shared(LW_EXCLUSIVE);
    shared->wal.walsender_pid = pid;
    unlock_shared();
    told_mode = Told::kNothing;
    stream_child_tell_mode();
}

TimestampTz from_unix_time(uint64 microseconds) {
    constexpr int64 kEpochs =
        static_cast<int64>(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY * USECS_PER_SEC;
    return microseconds == 0 ? 0 : static_cast<TimestampTz>(microseconds) - kEpochs;
}

// The position without its lock: parsing may throw.
WalStatus parse_position(const Message& message) {
    WalStatus said = {};
    const char* state = get_token(message, "state");
    const char* missing = get_token(message, "missing");
    strlcpy(said.state, state != nullptr ? state : "streaming", sizeof(said.state));
    strlcpy(said.missing, missing != nullptr ? missing : "", sizeof(said.missing));
    said.durable = get_lsn(message, "durable");
    said.received = get_lsn(message, "received");
    said.timeline = static_cast<uint32>(get_number(message, "timeline"));
    said.durable_at = from_unix_time(get_number(message, "durable_at"));
    said.pieces = pieces_before + get_number(message, "pieces");
    said.segments = segments_before + get_number(message, "segments");
    said.retries = retries_before + get_number(message, "retries");
    said.waiting = get_number(message, "waiting");
    return said;
}

void take_position(const Message& message) {
    const WalStatus said = parse_position(message);
    const bool streams = strcmp(said.state, "streaming") == 0;
    lock_shared(LW_EXCLUSIVE);
    WalStatus* status = &shared->wal;
    strlcpy(status->state, said.state, sizeof(status->state));
    strlcpy(status->missing, said.missing, sizeof(status->missing));
    // While it does not know, what was durable before still is.
    if (said.durable != InvalidXLogRecPtr)
        status->durable = said.durable;
    if (said.durable_at != 0)
        status->durable_at = said.durable_at;
    status->received = said.received;
    status->timeline = said.timeline;
    status->pieces = said.pieces;
    status->segments = said.segments;
    status->retries = said.retries;
    status->waiting = said.waiting;
    status->updated_at = GetCurrentTimestamp();
    // It runs again without having found another server: the archiver may go on, and looks itself.
    status->conflict = false;
    unlock_shared();
    if (streams && self.in_trouble) {
        ereport(LOG, (errmsg("WAL is streamed to the repository again"),
                      errdetail("Durable up to %s.", lsn_text(said.durable) != nullptr
                                                         ? lsn_text(said.durable)
                                                         : "an unknown place")));
        self.in_trouble = false;
        self.error_throttle = {};
    }
}

void take_error(const Message& message) {
    const JobError error = error_in(message);
    const bool goes_on = get_number(message, "retryable") != 0;
    if (goes_on) {
        lock_shared(LW_EXCLUSIVE);
        strlcpy(shared->wal.state, "retrying", sizeof(shared->wal.state));
        unlock_shared();
    } else {
        self.said_why = true;
        said_conflict = says_conflict(message);
    }
    note_stream_error(error, said_conflict ? kMinuteMs : kWarningIntervalMs);
}

// An unknown verb of a newer executable is not for us.
void take(const Message& message) {
    if (message_is(message, "position"))
        take_position(message);
    else if (message_is(message, "connected"))
        take_connected(message);
    else if (message_is(message, "error"))
        take_error(message);
    else if (message_is(message, "warning"))
        wal_child_log_warning(&warning_throttle, message);
}

}  // namespace

void stream_child_start(bool (*give_up)()) {
    told_mode = Told::kNothing;
    said_conflict = false;
    give_up_opening = give_up;
    wal_child_start(&self, present_signature());
    self.child->limit = end_of_opening;
    publish_start();
    const TimestampTz deadline = deadline_in_ms(kOpenMs);
    const OpenOptions options = {false, 0, 0, Min(settings.retry_timeout_s, kMostRetrySeconds)};
    (void)greet(self.child, deadline);
    publish_repository(open_after_greeting(self.child, options, deadline));
    begin_streaming();
}

WalChild* stream_child() {
    return &self;
}

bool stream_child_is_outdated() {
    return wal_child_is_outdated(self, present_signature());
}

StreamChild stream_child_look(long timeout_ms) {
    child_wait(self.child, timeout_ms);
    while (char* line = child_next_line(self.child)) {
        take(parse_message(line));
        pfree(line);
    }
    if (said_conflict)
        return StreamChild::kConflict;
    if (!self.child->ended)
        return self.said_why ? StreamChild::kFailed : StreamChild::kRuns;
    const JobError end = wal_child_end(self);
    if (end.sqlstate != 0)
        note_stream_error(end, kMinuteMs);
    return StreamChild::kFailed;
}

void stream_child_tell_mode() {
    lock_shared(LW_SHARED);
    const pid_t pid = shared->wal.walsender_pid;
    unlock_shared();
    if (self.child == nullptr || pid == 0)
        return;
    const bool sync = walsender_is_synchronous(pid);
    const Told mode = sync ? Told::kSynchronous : Told::kAsynchronous;
    if (mode == told_mode)
        return;
    StringInfoData out;
    initStringInfo(&out);
    message_begin(&out, "mode");
    message_number(&out, "sync", sync ? 1 : 0);
    message_end(&out);
    child_send(self.child, out);
    told_mode = mode;
    lock_shared(LW_EXCLUSIVE);
    shared->wal.sync = sync;
    unlock_shared();
}

void stream_child_stop(bool hurry) {
    wal_child_stop(&self, hurry, kPoliteMs);
    lock_shared(LW_EXCLUSIVE);
    shared->wal.child_pid = 0;
    shared->wal.walsender_pid = 0;
    shared->wal.sync = false;
    shared->wal.waiting = 0;
    unlock_shared();
}

void note_stream_error(const JobError& error, int interval_ms) {
    lock_shared(LW_EXCLUSIVE);
    shared->wal.error = error;
    shared->wal.error_at = GetCurrentTimestamp();
    unlock_shared();
    wal_child_log_error(&self, error, interval_ms);
}

}  // namespace ark
