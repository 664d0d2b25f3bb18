#include "server/child.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "server/protocol.hpp"

extern "C" {
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/procsignal.h"
#include "utils/memutils.h"
}

namespace ark {
namespace {

// At process exit nobody waits for politeness: a shutdown of the server is waiting for us.
constexpr int kExitGraceMs = 5000;
// The archiver holds up DROP DATABASE while it does not absorb barriers.
constexpr long kPollSliceMs = 250;
constexpr int kReadSize = 64 * 1024;

// The living children of this process, for the exit callback.
Child* living = nullptr;

void stop_all(int, Datum) {
    while (living != nullptr)
        child_stop(living, 0, kExitGraceMs);
}

void close_once(int* fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void free_child(Child* child) {
    pfree(child->received.data);
    pfree(child->unsent.data);
    pfree(child);
}

// What PostgreSQL's client library or tools would read (PGDATA, PGPORT...) must not steer the
// child.
char** child_environment() {
    int count = 0;
    while (environ[count] != nullptr)
        count++;
    auto** kept = static_cast<char**>(palloc(sizeof(char*) * (count + 1)));
    int n = 0;
    for (int i = 0; i < count; i++) {
        if (strncmp(environ[i], "PG", 2) != 0)
            kept[n++] = environ[i];
    }
    kept[n] = nullptr;
    return kept;
}

// Returns an errno. Every descriptor of ours is close-on-exec, those of the server on 15 are not.
int spawn(pid_t* pid, const char* program, const char* role, int child_in, int child_out) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, child_in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, child_out, STDOUT_FILENO);
    posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    char* argv[] = {const_cast<char*>(program), const_cast<char*>(role), nullptr};
    const int error = posix_spawn(pid, program, &files, &attributes, argv, child_environment());
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return error;
}

// Pipe ends that are moved above the standard descriptors, so that dup2 in the child is never onto
// itself.
bool make_pipe(int ends[2]) {
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    for (int i = 0; i < 2; i++) {
        if (ends[i] > STDERR_FILENO)
            continue;
        const int moved = fcntl(ends[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        close(ends[i]);
        ends[i] = moved;
    }
    return ends[0] >= 0 && ends[1] >= 0;
}

void write_unsent(Child* child) {
    while (child->input >= 0 && child->unsent_used < child->unsent.len) {
        const ssize_t n = write(child->input, child->unsent.data + child->unsent_used,
                                child->unsent.len - child->unsent_used);
        if (n > 0) {
            child->unsent_used += static_cast<int>(n);
        } else if (errno != EINTR) {
            // EPIPE: it has gone; the end of its output tells so, and why.
            if (errno != EAGAIN)
                close_once(&child->input);
            break;
        }
    }
    if (child->unsent_used == child->unsent.len) {
        resetStringInfo(&child->unsent);
        child->unsent_used = 0;
    }
}

// Bounded: as long as a whole line may lie unread nothing more is taken from the pipe.
void read_available(Child* child) {
    while (!child->ended && child->received.len - child->received_used <= kMaxLine) {
        if (child->received_used > 0) {
            memmove(child->received.data, child->received.data + child->received_used,
                    child->received.len - child->received_used + 1);
            child->received.len -= child->received_used;
            child->searched = 0;
            child->received_used = 0;
        }
        enlargeStringInfo(&child->received, kReadSize);
        const ssize_t n =
            read(child->output, child->received.data + child->received.len, kReadSize);
        if (n > 0) {
            child->received.len += static_cast<int>(n);
            child->received.data[child->received.len] = '\0';
        } else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
            child->ended = true;
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

void wait_by_latch(Child* child, long timeout_ms) {
    const bool sending = child->input >= 0 && child->unsent_used < child->unsent.len;
    constexpr int kAlways = WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | WL_TIMEOUT;
    if (sending) {
        // Both directions at once, or two full pipes would wait for each other.
        struct pollfd fds[] = {{child->input, POLLOUT, 0}, {child->output, POLLIN, 0}};
        if (poll(fds, 2, 0) == 0)
            (void)WaitLatch(MyLatch, kAlways, Min(timeout_ms, 20), wait_event());
    } else {
        (void)WaitLatchOrSocket(MyLatch, kAlways | WL_SOCKET_READABLE, child->output, timeout_ms,
                                wait_event());
    }
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
}

void wait_by_poll(Child* child, long timeout_ms) {
    const bool sending = child->input >= 0 && child->unsent_used < child->unsent.len;
    struct pollfd fds[] = {{child->output, POLLIN, 0}, {child->input, POLLOUT, 0}};
    pgstat_report_wait_start(wait_event());
    (void)poll(fds, sending ? 2 : 1, static_cast<int>(Min(timeout_ms, kPollSliceMs)));
    pgstat_report_wait_end();
    if (ProcSignalBarrierPending)
        ProcessProcSignalBarrier();
    CHECK_FOR_INTERRUPTS();
}

}  // namespace

Child* child_start(const char* program, const char* role, ChildWait wait) {
    static bool registered = false;
    if (!registered)
        on_proc_exit(stop_all, 0);
    registered = true;

    // Everything that can fail in memory comes before the process exists.
    MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
    auto* child = static_cast<Child*>(palloc0(sizeof(Child)));
    initStringInfo(&child->received);
    initStringInfo(&child->unsent);
    MemoryContextSwitchTo(old);

    int to_child[2] = {-1, -1};
    int from_child[2] = {-1, -1};
    const bool piped = make_pipe(to_child) && make_pipe(from_child);
    const int error = piped ? spawn(&child->pid, program, role, to_child[0], from_child[1]) : errno;
    close_once(&to_child[0]);
    close_once(&from_child[1]);
    if (error != 0) {
        close_once(&to_child[1]);
        close_once(&from_child[0]);
        free_child(child);
        errno = error;
        ereport(ERROR, (errcode(error == ENOENT ? ERRCODE_UNDEFINED_FILE : ERRCODE_SYSTEM_ERROR),
                        errmsg("could not start \"%s\": %m", program),
                        errhint("Install the executable there, or name it in pg_ark.program.")));
    }
    fcntl(to_child[1], F_SETFL, O_NONBLOCK);
    fcntl(from_child[0], F_SETFL, O_NONBLOCK);

    child->input = to_child[1];
    child->output = from_child[0];
    child->wait = wait;
    child->next = living;
    living = child;
    return child;
}

void child_send(Child* child, const StringInfoData& bytes) {
    appendBinaryStringInfo(&child->unsent, bytes.data, bytes.len);
    write_unsent(child);
}

char* child_next_line(Child* child) {
    const int from = child->received_used + child->searched;
    const char* newline = static_cast<const char*>(
        memchr(child->received.data + from, '\n', child->received.len - from));
    const int length = newline != nullptr
                           ? static_cast<int>(newline - child->received.data) - child->received_used
                           : child->received.len - child->received_used;
    if (length >= kMaxLine)
        ereport(ERROR, (errcode(ERRCODE_PROTOCOL_VIOLATION),
                        errmsg("pg_ark sent a message of more than %d bytes", kMaxLine)));
    if (newline == nullptr) {
        child->searched = length;
        return nullptr;
    }
    char* line = pnstrdup(child->received.data + child->received_used, length);
    child->received_used += length + 1;
    child->searched = 0;
    return line;
}

void child_wait(Child* child, long timeout_ms) {
    write_unsent(child);
    if (child->wait == ChildWait::kLatch)
        wait_by_latch(child, timeout_ms);
    else
        wait_by_poll(child, timeout_ms);
    write_unsent(child);
    read_available(child);
}

// By its pid only: other children of this process are not ours to reap.
bool child_reap(Child* child, int timeout_ms) {
    constexpr int kStepMs = 10;
    for (int waited = 0; !child->reaped; waited += kStepMs) {
        const pid_t result = waitpid(child->pid, &child->wait_status, WNOHANG);
        child->reaped = result == child->pid || (result < 0 && errno != EINTR);
        if (child->reaped || waited >= timeout_ms)
            break;
        // Its output is read and dropped: a child blocked on a full pipe would not see its input
        // close.
        resetStringInfo(&child->received);
        child->received_used = child->searched = 0;
        read_available(child);
        (void)poll(nullptr, 0, kStepMs);
        if (ProcSignalBarrierPending && !proc_exit_inprogress)
            ProcessProcSignalBarrier();
    }
    return child->reaped;
}

int child_stop(Child* child, int polite_ms, int grace_ms) {
    constexpr int kKillMs = 10000;
    close_once(&child->input);
    if (!child_reap(child, polite_ms)) {
        kill(child->pid, SIGTERM);
        if (!child_reap(child, grace_ms)) {
            kill(child->pid, SIGKILL);
            if (!child_reap(child, kKillMs))
                ereport(LOG, (errmsg("pg_ark process %d does not end after SIGKILL", child->pid)));
        }
    }
    const int status = child->wait_status;
    close_once(&child->output);
    for (Child** link = &living; *link != nullptr; link = &(*link)->next) {
        if (*link == child) {
            *link = child->next;
            break;
        }
    }
    free_child(child);
    return status;
}

char* describe_exit(int wait_status) {
    if (WIFSIGNALED(wait_status))
        return psprintf("was terminated by signal %d: %s", WTERMSIG(wait_status),
                        strsignal(WTERMSIG(wait_status)));
    return psprintf("exited with code %d", WEXITSTATUS(wait_status));
}

}  // namespace ark
