#include "server/track_child.hpp"

#include "server/change_status.hpp"
#include "server/settings.hpp"
#include "server/sql_call.hpp"
#include "server/wal_child.hpp"

extern "C" {
#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

// A store that is away for longer is tried again by the child itself.
constexpr int kMostRetrySeconds = 30;
// What it is at it does again: nobody waits for it.
constexpr int kPoliteMs = 200;
constexpr int kMinuteMs = 60 * 1000;
constexpr int kWarningIntervalMs = 10 * kMinuteMs;

WalChild self = {"server-track", "changed blocks are not tracked"};
Throttle warning_throttle;
bool opened = false;  // it has answered, and was told to begin
XLogRecPtr told_flushed = InvalidXLogRecPtr;
XLogRecPtr heard_flushed = InvalidXLogRecPtr;  // what it has answered to
uint64 told_begun = 0, told_ended = 0;         // backups that it was told of
ChangeStatus before = {};                      // what the children before this one came to

void set_state(const char* state) {
    lock_shared(LW_EXCLUSIVE);
    strlcpy(shared->changes.state, state, sizeof(shared->changes.state));
    unlock_shared();
}

void note_error(const JobError& error, int interval_ms) {
    lock_shared(LW_EXCLUSIVE);
    shared->changes.error = error;
    shared->changes.error_at = GetCurrentTimestamp();
    unlock_shared();
    wal_child_log_error(&self, error, interval_ms);
}

void send(StringInfo out) {
    message_end(out);
    child_send(self.child, *out);
}

void start() {
    opened = false;
    told_flushed = heard_flushed = InvalidXLogRecPtr;
    lock_shared(LW_SHARED);
    before = shared->changes;
    told_begun = shared->backups_begun;
    told_ended = shared->backups_ended;
    unlock_shared();
    set_state("starting");
    wal_child_start(&self, wal_child_signature(""));
    lock_shared(LW_EXCLUSIVE);
    shared->changes.child_pid = self.child->pid;
    // Those of the one before may have been where this one cannot read.
    shared->changes.stored = InvalidXLogRecPtr;
    unlock_shared();
    send_opening(self.child, {false, 0, 0, Min(settings.retry_timeout_s, kMostRetrySeconds)});
}

void begin_tracking() {
    opened = true;
    told_flushed = GetFlushRecPtr(nullptr);
    StringInfoData out;
    initStringInfo(&out);
    message_begin(&out, "track");
    message_number(&out, "timeline", GetWALInsertionTimeLine());
    message_lsn(&out, "flushed", told_flushed);
    send(&out);
}

void say(const char* verb) {
    StringInfoData out;
    initStringInfo(&out);
    message_begin(&out, verb);
    send(&out);
}

// One at a time: a child that hangs in the store reads nothing.
void tell_flushed() {
    const XLogRecPtr flushed = GetFlushRecPtr(nullptr);
    if (!opened || flushed <= told_flushed || heard_flushed < told_flushed)
        return;
    StringInfoData out;
    initStringInfo(&out);
    message_begin(&out, "flushed");
    message_lsn(&out, "flushed", flushed);
    send(&out);
    told_flushed = flushed;
}

bool somebody_waits() {
    lock_shared(LW_EXCLUSIVE);
    const bool waits = shared->changes.hurry;
    shared->changes.hurry = false;
    unlock_shared();
    return waits;
}

// Where a backup begins a table ends, so that the next one does not begin long before it. Where one
// has ended it may be the one that counts.
void tell_of_backups() {
    if (!opened)
        return;
    lock_shared(LW_SHARED);
    const uint64 begun = shared->backups_begun;
    const uint64 ended = shared->backups_ended;
    unlock_shared();
    if (begun > told_begun)
        say("cut");
    if (ended > told_ended)
        say("look");
    told_begun = begun;
    told_ended = ended;
}

void take_position(const Message& message) {
    ChangeStatus said = {};
    const char* state = get_token(message, "state");
    strlcpy(said.state, state != nullptr ? state : "tracking", sizeof(said.state));
    copy_text(said.last_gap, sizeof(said.last_gap), get_text(message, "gap"));
    said.timeline = static_cast<uint32>(get_number(message, "timeline"));
    said.position = get_lsn(message, "lsn");
    said.stored = get_lsn(message, "stored");
    said.tables = get_number(message, "tables");
    said.segments = get_number(message, "segments");
    said.bytes = get_number(message, "bytes");
    said.gaps = get_number(message, "gaps");
    said.cpu_micros = get_number(message, "cpu");
    said.reading_micros = get_number(message, "reading");
    said.since = get_lsn(message, "since");
    said.blocks = get_number(message, "blocks");
    said.relations = get_number(message, "relations");
    heard_flushed = get_lsn(message, "flushed");
    const bool keeps_up = strcmp(said.state, "tracking") == 0;
    lock_shared(LW_EXCLUSIVE);
    ChangeStatus* status = &shared->changes;
    strlcpy(status->state, said.state, sizeof(status->state));
    if (said.last_gap[0] != '\0')
        strlcpy(status->last_gap, said.last_gap, sizeof(status->last_gap));
    status->timeline = said.timeline;
    status->position = said.position;
    status->stored = said.stored;
    status->tables = before.tables + said.tables;
    status->segments = before.segments + said.segments;
    status->bytes = before.bytes + said.bytes;
    status->gaps = before.gaps + said.gaps;
    status->cpu_micros = before.cpu_micros + said.cpu_micros;
    status->reading_micros = before.reading_micros + said.reading_micros;
    status->since = said.since;
    status->blocks = said.blocks;
    status->relations = said.relations;
    if (keeps_up)
        status->behind_since = 0;
    else if (status->behind_since == 0)
        status->behind_since = GetCurrentTimestamp();
    unlock_shared();
    if (!keeps_up)
        return;
    self.pause_ms = 0;
    if (self.in_trouble) {
        ereport(LOG, (errmsg("changed blocks are tracked again"),
                      errdetail("The tables go up to %s.", lsn_text(said.position))));
        self.in_trouble = false;
        self.error_throttle = {};
    }
}

void take_error(const Message& message) {
    const bool goes_on = opened && get_number(message, "retryable") != 0;
    if (goes_on)
        set_state("retrying");
    else
        self.said_why = true;
    note_error(error_in(message), kWarningIntervalMs);
}

// An unknown verb of a newer executable is not for us.
void take(const Message& message) {
    if (message_is(message, "position")) {
        take_position(message);
    } else if (message_is(message, "error")) {
        take_error(message);
    } else if (message_is(message, "warning")) {
        wal_child_log_warning(&warning_throttle, message);
    } else if (message_is(message, "hello")) {
        (void)check_hello(message);
    } else if (message_is(message, "opened")) {
        check_opened(message);
        begin_tracking();
    }
}

void look(long timeout_ms) {
    child_wait(self.child, timeout_ms);
    while (char* line = child_next_line(self.child)) {
        take(parse_message(line));
        pfree(line);
    }
    if (somebody_waits())
        tell_flushed();
    if (!self.child->ended && !self.said_why)
        return;
    const JobError end = wal_child_end(self);
    if (end.sqlstate != 0)
        note_error(end, kMinuteMs);
    track_child_stop(false);
    wal_child_pause_longer(&self);
    set_state("stopped");
}

void supervise(const char* idle) {
    if (idle != nullptr) {
        if (self.child != nullptr)
            track_child_stop(false);
        self.pause_ms = 0;
        return set_state(idle);
    }
    if (wal_child_is_outdated(self, wal_child_signature(""))) {
        track_child_stop(false);
        self.pause_ms = 0;
    }
    if (wal_child_may_start(self))
        start();
    if (self.child == nullptr)
        return;
    tell_of_backups();
    tell_flushed();
}

// Trouble with this child is none for the other one.
template <typename Action>
void run_and_catch(const Action& action) {
    MemoryContext context = CurrentMemoryContext;
    PG_TRY();
    { action(); }
    PG_CATCH();
    {
        MemoryContextSwitchTo(context);
        const ErrorData* caught = CopyErrorData();
        FlushErrorState();
        HOLD_INTERRUPTS();
        LWLockReleaseAll();
        RESUME_INTERRUPTS();
        track_child_stop(false);
        JobError error = {};
        copy_error(&error, *caught);
        note_error(error, kMinuteMs);
        wal_child_pause_longer(&self);
        set_state("stopped");
    }
    PG_END_TRY();
}

}  // namespace

WalChild* track_child() {
    return &self;
}

void track_child_supervise(const char* idle) {
    run_and_catch([idle] { supervise(idle); });
}

void track_child_look(long timeout_ms) {
    run_and_catch([timeout_ms] { look(timeout_ms); });
}

void track_child_stop(bool hurry) {
    wal_child_stop(&self, hurry, kPoliteMs);
    lock_shared(LW_EXCLUSIVE);
    shared->changes.child_pid = 0;
    unlock_shared();
}

ChangeStatus* copy_of_change_status() {
    auto* copy = static_cast<ChangeStatus*>(palloc(sizeof(ChangeStatus)));
    lock_shared(LW_SHARED);
    *copy = shared->changes;
    unlock_shared();
    return copy;
}

void note_audit_misses(uint64 count) {
    lock_shared(LW_EXCLUSIVE);
    shared->changes.audit_misses += count;
    unlock_shared();
}

}  // namespace ark
