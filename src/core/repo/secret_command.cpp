#include "core/repo/secret_command.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "core/base/cancellation.hpp"
#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/file.hpp"

namespace ark {

namespace {

constexpr int kSliceMillis = 50;
constexpr int kNoShell = 127;

// Between fork and exec: only what a process with threads may do there.
[[noreturn]] void become(char* const* arguments, pid_t parent, int output, int errors) {
    ::setsid();
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent)
        ::_exit(1);
    const int nothing = ::open("/dev/null", O_RDONLY);
    ::dup2(nothing, STDIN_FILENO);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(errors, STDERR_FILENO);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    for (const int number : {SIGPIPE, SIGTERM, SIGINT, SIGHUP, SIGQUIT})
        ::signal(number, SIG_DFL);
    // Our own limit is not meant for it.
    rlimit memory{};
    ::getrlimit(RLIMIT_DATA, &memory);
    memory.rlim_cur = memory.rlim_max;
    ::setrlimit(RLIMIT_DATA, &memory);
    ::execv(arguments[0], arguments);
    ::_exit(kNoShell);
}

struct Pipe {
    Pipe() {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0)
            throw system_error(errno, "could not make a pipe");
        read = File(ends[0], "pipe");
        write = File(ends[1], "pipe");
        ::fcntl(read.fd(), F_SETFL, O_NONBLOCK);
    }
    File read;
    File write;
};

/// The shell, and what it has started.
class Group {
 public:
    Group(std::string command, int output, int errors) {
        std::string shell = "/bin/sh";
        std::string flag = "-c";
        std::array<char*, 4> arguments{shell.data(), flag.data(), command.data(), nullptr};
        const pid_t parent = ::getpid();
        pid_ = ::fork();
        if (pid_ == 0)
            become(arguments.data(), parent, output, errors);
        if (pid_ < 0)
            throw system_error(errno, "could not start a process");
    }
    ~Group() { end(); }
    Group(const Group&) = delete;
    Group& operator=(const Group&) = delete;

    // It stays a zombie, so that its number is nobody else's when the group is killed.
    bool has_ended() const {
        siginfo_t info{};
        return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
               info.si_pid == pid_;
    }

    int end() {
        if (pid_ <= 0)
            return status_;
        ::kill(-pid_, SIGKILL);
        ::kill(pid_, SIGKILL);  // it may have no group yet
        while (::waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
        }
        pid_ = -1;
        return status_;
    }

 private:
    pid_t pid_ = -1;
    int status_ = 0;
};

// What is there now; of it no more than one byte above `limit` is kept. False at its end.
template <typename Text>
bool read_what_is_there(const File& input, size_t limit, Text& text) {
    constexpr int kMostReads = 16;  // whoever writes without end must not keep us from the clock
    SecretBytes buffer(4096);
    for (int i = 0; i < kMostReads; ++i) {
        const ssize_t n = ::read(input.fd(), buffer.data(), buffer.size());
        if (n == 0)
            return false;
        if (n < 0)
            return true;
        for (ssize_t k = 0; k < n && text.size() <= limit; ++k) {
            text.push_back(static_cast<typename Text::value_type>(buffer[static_cast<size_t>(k)]));
        }
    }
    return true;
}

}  // namespace

SecretCommandResult run_secret_command(const std::string& command, size_t limit, size_t error_limit,
                                       double seconds) {
    SecretCommandResult result;
    // So that it never moves, and leaves no copy of itself.
    result.output.reserve(limit + 1);
    Pipe output;
    Pipe errors;
    Group group(command, output.write.fd(), errors.write.fd());
    output.write.close();
    errors.write.close();
    const int64_t until = monotonic_nanos() + static_cast<int64_t>(seconds * 1e9);
    bool has_output = true;
    bool has_errors = true;
    for (;;) {
        // Before the pipes are read: what it wrote before its end is in them.
        const bool ended = group.has_ended();
        has_output = has_output && read_what_is_there(output.read, limit, result.output);
        has_errors = has_errors && read_what_is_there(errors.read, error_limit, result.errors);
        result.wrote_too_much = result.output.size() > limit;
        if (ended || result.wrote_too_much)
            break;
        result.timed_out = monotonic_nanos() > until || cancellation_time() != 0;
        if (result.timed_out)
            break;
        std::array<pollfd, 2> readable{pollfd{has_output ? output.read.fd() : -1, POLLIN, 0},
                                       pollfd{has_errors ? errors.read.fd() : -1, POLLIN, 0}};
        ::poll(readable.data(), readable.size(), kSliceMillis);
    }
    result.status = group.end();
    if (result.errors.size() > error_limit)
        result.errors.resize(error_limit);
    if (result.wrote_too_much)
        result.output = SecretBytes();
    return result;
}

}  // namespace ark
