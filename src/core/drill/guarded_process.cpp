#include "core/drill/guarded_process.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/drill/guard.hpp"
#include "core/drill/processes.hpp"

namespace ark {

namespace {

constexpr int64_t kPatienceNanos = 8 * 1000000000LL;
constexpr useconds_t kPauseMicros = 5000;
constexpr int kNotStarted = 1;

std::vector<char*> pointers_to(std::vector<std::string>& words) {
    std::vector<char*> out;
    out.reserve(words.size() + 1);
    for (std::string& word : words)
        out.push_back(word.data());
    out.push_back(nullptr);
    return out;
}

void close_from(unsigned first) {
#if defined(SYS_close_range)
    if (::syscall(SYS_close_range, first, ~0U, 0) == 0)
        return;
#endif
    for (int fd = static_cast<int>(first); fd < 65536; ++fd)
        ::close(fd);
}

struct Descriptors {
    int input;
    int output;
    int status;
};

// Between fork and exec: nothing but system calls.
[[noreturn]] void become_guard(const char* directory, const Descriptors& fds, pid_t parent,
                               char* const* arguments, char* const* environment) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    // Blocked until the guard can deal with it: what a signal ends has an odd exit status.
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    ::sigprocmask(SIG_SETMASK, &set, nullptr);
    for (int number = 1; number < NSIG; ++number)
        ::signal(number, SIG_DFL);
    if (::getppid() != parent || ::chdir(directory) != 0)
        ::_exit(kNotStarted);
    // Out of the way of the numbers that they get.
    const int input = ::fcntl(fds.input, F_DUPFD, 10);
    const int output = ::fcntl(fds.output, F_DUPFD, 10);
    const int status = ::fcntl(fds.status, F_DUPFD, 10);
    if (::dup2(input, STDIN_FILENO) < 0 || ::dup2(output, STDOUT_FILENO) < 0 ||
        ::dup2(output, STDERR_FILENO) < 0 || ::dup2(status, kGuardStatusFd) < 0) {
        ::_exit(kNotStarted);
    }
    close_from(kGuardStatusFd + 1);
    ::execve(arguments[0], arguments, environment);
    ::_exit(kNotStarted);
}

}  // namespace

std::vector<std::string> scratch_environment() {
    std::vector<std::string> out;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view text = *entry;
        // PGDATA, PGHOST and their like would lead to the live server. What the store needs stays.
        const bool of_postgres = text.starts_with("PG") && !text.starts_with("PG_ARK_");
        if (of_postgres || text.starts_with("PG_ARK_FAULT=") || text.starts_with("LC_ALL=") ||
            text.starts_with("GLIBC_TUNABLES="))
            continue;
        out.emplace_back(text);
    }
    out.emplace_back("LC_ALL=C");
    // What amcheck notes of an index is one large piece of memory, and read at random: on large
    // pages that takes a tenth less time. A C library that does not know it passes it by.
    out.emplace_back("GLIBC_TUNABLES=glibc.malloc.hugetlb=1");
    return out;
}

bool is_from_outside(int signal) noexcept {
    return signal == 0 || signal == SIGKILL || signal == SIGTERM;
}

GuardedProcess::GuardedProcess(const ProgramCall& call) : directory_(call.directory) {
    std::vector<std::string> words{call.guard, "server-guard", "--"};
    words.insert(words.end(), call.command.begin(), call.command.end());
    std::vector<std::string> variables = scratch_environment();
    const std::vector<char*> arguments = pointers_to(words);
    const std::vector<char*> environment = pointers_to(variables);
    const File input = File::open(call.input, O_RDONLY);
    const File output = File::open(call.output, O_WRONLY | O_CREAT | O_APPEND, 0600);
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC | O_NONBLOCK) != 0)
        throw system_error(errno, "could not create a pipe");
    status_ = File(pipe[0], "pipe");
    const File status(pipe[1], "pipe");
    const pid_t parent = ::getpid();
    guard_ = ::fork();
    if (guard_ < 0)
        throw system_error(errno, "could not start \"" + call.command.front() + "\"");
    if (guard_ == 0) {
        become_guard(call.directory.c_str(), {input.fd(), output.fd(), status.fd()}, parent,
                     arguments.data(), environment.data());
    }
}

GuardedProcess::~GuardedProcess() {
    end();
}

void GuardedProcess::reaped(int guard_status) {
    ended_.emplace();
    int status = 0;
    const bool told = ::read(status_.fd(), &status, sizeof(status)) == sizeof(status);
    if (told && WIFEXITED(status))
        ended_->status = WEXITSTATUS(status);
    if (told && WIFSIGNALED(status))
        ended_->signal = WTERMSIG(status);
    if (!told && WIFSIGNALED(guard_status)) {
        // Without its guard the program was told to end, and is ours to take in.
        end_processes_in(directory_);
    }
}

std::optional<ProgramEnd> GuardedProcess::poll() {
    int status = 0;
    if (!ended_ && ::waitpid(guard_, &status, WNOHANG) == guard_)
        reaped(status);
    return ended_;
}

void GuardedProcess::end() noexcept {
    try {
        const int64_t deadline = monotonic_nanos() + kPatienceNanos;
        bool killed = false;
        if (!poll())
            ::kill(guard_, SIGTERM);
        while (!poll()) {
            if (!killed && monotonic_nanos() > deadline) {
                ::kill(guard_, SIGKILL);
                killed = true;
            }
            ::usleep(kPauseMicros);
        }
    } catch (const Error&) {
        // What could not be ended is looked for again when the directory is removed.
    }
}

}  // namespace ark
