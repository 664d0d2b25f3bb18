#pragma once
/// A child process of the server that speaks lines on its standard input and output. How it is
/// started and ended keeps the promise that nothing a child does can take the server down.
#include "server/pg_version.hpp"

extern "C" {
#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
}

namespace ark {

/// How a process waits for its child.
enum class ChildWait {
    kLatch,  ///< backends and background workers: also wakes on the process's latch and checks
             ///< interrupts
    kPoll,   ///< the archiver: poll(2) in short slices, absorbing barriers; the latch is left alone
};

/// A running child. Lives in TopMemoryContext until child_stop.
struct Child {
    pid_t pid;
    int input;      ///< our end of its standard input; -1 once closed
    int output;     ///< our end of its standard output
    bool ended;     ///< its output is at its end
    bool answered;  ///< the last request has its answer (set by conversation.hpp): the next may be
                    ///< sent
    bool refused;   ///< it sent an error (set by conversation.hpp)
    bool found_conflict;  ///< and that was another server's writing (set by conversation.hpp)
    bool reaped;
    int wait_status;  ///< once reaped
    ChildWait wait;
    TimestampTz (
        *limit)();  ///< may bring a deadline forward while a reply is waited for; NULL: never
    StringInfoData received;
    int received_used;  ///< bytes of `received` already handed out
    int searched;       ///< bytes of `received` known to hold no newline
    StringInfoData unsent;
    int unsent_used;
    Child* next;
};

/// Starts `program` with the one argument `role`: own session, empty signal mask, default signal
/// handlers, no descriptor but 0 to 2, none of the PG* environment. Throws ERRCODE_SYSTEM_ERROR
/// (with a hint that names pg_ark.program) where it cannot be started. Whatever happens to this
/// process but SIGKILL, the child is ended by child_stop at its exit at the latest.
Child* child_start(const char* program, const char* role, ChildWait wait);

/// Queues bytes for the child; child_wait sends them.
void child_send(Child* child, const StringInfoData& bytes);

/// The next whole line without its newline, in the current memory context, or NULL: none yet.
/// Throws ERRCODE_PROTOCOL_VIOLATION where a line is longer than kMaxLine.
char* child_next_line(Child* child);

/// Sends what is queued and reads what is there; waits at most `timeout_ms`. Returns early when
/// something came. Checks for interrupts.
void child_wait(Child* child, long timeout_ms);

/// Waits up to `timeout_ms` for the child to exit by itself; whether it has (then wait_status is
/// set).
bool child_reap(Child* child, int timeout_ms);

/// Ends the child: closes its standard input, signals SIGTERM unless it goes by itself within
/// `polite_ms`, waits up to `grace_ms` more, then SIGKILL. Frees `child`. Returns the wait status
/// (0: it exited with 0).
int child_stop(Child* child, int polite_ms, int grace_ms);

/// "exited with code 3", "was terminated by signal 9: Killed"; palloc'd.
char* describe_exit(int wait_status);

}  // namespace ark
