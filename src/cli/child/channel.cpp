#include "cli/child/channel.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>

#include "core/base/bytes.hpp"
#include "core/base/cancellation.hpp"
#include "core/base/file.hpp"

namespace ark {

namespace {

constexpr size_t kMaxLineBytes = 1 << 20;
constexpr size_t kThreadStackBytes = 1 << 20;

std::atomic<bool> g_stop = false;
static_assert(std::atomic<bool>::is_always_lock_free, "set in a signal handler");
// Written by the handler, so that a poll that begins just after the signal wakes too.
std::array<int, 2> g_wake{-1, -1};

extern "C" void on_stop_signal(int /*signal*/) {
    const int saved = errno;
    g_stop = true;
    request_cancellation();
    const char byte = 0;
    static_cast<void>(!write(g_wake[1], &byte, 1));
    errno = saved;
}

// Best effort: without the right to change it, the kernel's default stands.
void prefer_to_die_first() {
    const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    static_cast<void>(!write(fd, "800", 3));
    close(fd);
}

}  // namespace

Error job_ended() {
    request_cancellation();
    return {ErrorCode::cancelled, "the server has ended the job",
            "The process that started this one closed its pipe or sent a signal."};
}

void become_child() {
    const pid_t parent = getppid();
    static_cast<void>(!pipe2(g_wake.data(), O_CLOEXEC | O_NONBLOCK));
    struct sigaction action {};
    action.sa_handler = on_stop_signal;
    sigaction(SIGTERM, &action, nullptr);
    sigaction(SIGINT, &action, nullptr);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    prefer_to_die_first();
    const rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    prctl(PR_SET_DUMPABLE, 0);
    // After PR_SET_DUMPABLE: a change of credentials or dumpability clears the death signal.
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent || parent == 0)
        g_stop = true;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, kThreadStackBytes);
    pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);
}

bool stop_requested() {
    return g_stop;
}

void limit_memory(uint64_t megabytes) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    static_cast<void>(megabytes);  // the sanitizers' own tables would not fit
#else
    if (megabytes == 0)
        return;
    // The soft limit alone: a server that we start has its own settings, and gets the rest back.
    rlimit limit{};
    getrlimit(RLIMIT_DATA, &limit);
    limit.rlim_cur = std::min<rlim_t>(megabytes << 20, limit.rlim_max);
    setrlimit(RLIMIT_DATA, &limit);
#endif
}

Channel::Channel() = default;

// Reads what there is, waiting up to `millis` (-1: without end); false when nothing came. Nothing
// more is read where no line has ended within the longest that there is.
bool Channel::fill(int millis) {
    if (buffer_.size() > kMaxLineBytes)
        throw Error(ErrorCode::protocol_violation, "a message from the server is too long");
    std::array<pollfd, 2> fds{{{STDIN_FILENO, POLLIN, 0}, {g_wake[0], POLLIN, 0}}};
    const int n = poll(fds.data(), fds.size(), millis);
    if (stop_requested()) {
        closed_ = true;
        return false;
    }
    if (n <= 0 || fds[0].revents == 0)
        return false;
    std::array<char, 65536> chunk{};
    const ssize_t got = read(STDIN_FILENO, chunk.data(), chunk.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return false;
    if (got <= 0) {
        closed_ = true;
        return false;
    }
    buffer_.append(chunk.data(), static_cast<size_t>(got));
    return true;
}

std::optional<Message> Channel::receive() {
    for (;;) {
        const size_t newline = buffer_.find('\n');
        if (newline != std::string::npos) {
            Message message = Message::parse(std::string_view(buffer_).substr(0, newline));
            buffer_.erase(0, newline + 1);
            return message;
        }
        if (closed_)
            return std::nullopt;
        fill(-1);
    }
}

Message Channel::expect(const std::string& verb) {
    std::optional<Message> message = receive();
    if (!message)
        throw job_ended();
    if (message->verb() == verb)
        return std::move(*message);
    throw Error(ErrorCode::protocol_violation, "unexpected message \"" + message->verb() + "\"",
                "The message expected was \"" + verb + "\".");
}

bool Channel::wait(int millis) {
    if (!has_line() && !closed_)
        fill(millis);
    if (closed_)
        throw job_ended();
    return has_line();
}

void Channel::send(const Message& message) {
    const std::string line = message.format();
    std::string_view rest = line;
    while (!rest.empty()) {
        const ssize_t n = write(STDOUT_FILENO, rest.data(), rest.size());
        if (n > 0) {
            rest.remove_prefix(static_cast<size_t>(n));
        } else if (errno == EAGAIN) {
            pollfd fd{STDOUT_FILENO, POLLOUT, 0};
            poll(&fd, 1, 1000);
        } else if (errno != EINTR) {
            throw job_ended();
        }
        if (stop_requested() && !rest.empty())
            throw job_ended();
    }
}

}  // namespace ark
