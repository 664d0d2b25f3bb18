#include "core/drill/guard.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <optional>

#include "core/base/clock.hpp"
#include "core/drill/processes.hpp"

namespace ark {

namespace {

constexpr int64_t kPatienceNanos = 5 * 1000000000LL;
constexpr int kExecFailed = 127;

sigset_t guarded_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGCHLD})
        sigaddset(&set, number);
    return set;
}

int end_signal_of(const std::string& program) {
    return program.substr(program.find_last_of('/') + 1) == "postgres" ? SIGQUIT : SIGTERM;
}

class Guard {
 public:
    explicit Guard(const std::vector<std::string>& command)
        : command_(command), end_signal_(end_signal_of(command.front())) {
        for (const std::string& word : command_)
            arguments_.push_back(const_cast<char*>(word.c_str()));
        arguments_.push_back(nullptr);
    }

    int run() {
        ::setsid();
        ::prctl(PR_SET_CHILD_SUBREAPER, 1);
        ::fcntl(kGuardStatusFd, F_SETFD, FD_CLOEXEC);
        const sigset_t signals = guarded_signals();
        ::sigprocmask(SIG_SETMASK, &signals, nullptr);
        start();
        const bool asked_to_end = !wait_for_the_end(signals);
        if (asked_to_end)
            end_program(signals);
        end_descendants();
        if (asked_to_end || !status_)
            return 1;
        report();
        return *status_ == 0 ? 0 : 1;
    }

 private:
    void start() {
        const pid_t parent = ::getpid();
        program_ = ::fork();
        if (program_ < 0) {
            std::perror("pg_ark: could not fork");
            return;
        }
        if (program_ > 0)
            return;
        ::prctl(PR_SET_PDEATHSIG, end_signal_);
        for (int number = 1; number < NSIG; ++number)
            ::signal(number, SIG_DFL);
        sigset_t none;
        sigemptyset(&none);
        ::sigprocmask(SIG_SETMASK, &none, nullptr);
        // A job's own limit is not the server's.
        rlimit limit{};
        ::getrlimit(RLIMIT_DATA, &limit);
        limit.rlim_cur = limit.rlim_max;
        ::setrlimit(RLIMIT_DATA, &limit);
        if (::getppid() != parent)
            ::_exit(1);
        ::execv(arguments_.front(), arguments_.data());
        std::perror(arguments_.front());
        ::_exit(kExecFailed);
    }

    // Takes in whoever has ended; false when there is no child left.
    bool reap() {
        for (;;) {
            int status = 0;
            const pid_t pid = ::waitpid(-1, &status, WNOHANG);
            if (pid < 0)
                return false;
            if (pid == 0)
                return true;
            if (pid == program_)
                status_ = status;
        }
    }

    // False when the guard was told to end before the program did.
    bool wait_for_the_end(const sigset_t& signals) {
        while (reap() && !status_) {
            const int number = ::sigwaitinfo(&signals, nullptr);
            if (number > 0 && number != SIGCHLD)
                return false;
        }
        return true;
    }

    void end_program(const sigset_t& signals) {
        ::kill(program_, end_signal_);
        const int64_t deadline = monotonic_nanos() + kPatienceNanos;
        while (reap() && !status_ && monotonic_nanos() < deadline) {
            const timespec pause{0, 100 * 1000000};
            ::sigtimedwait(&signals, nullptr, &pause);
        }
    }

    // As a subreaper the guard becomes the parent of all that are orphaned, until none is left.
    void end_descendants() {
        while (reap()) {
            for (const pid_t pid : descendants_of(::getpid()))
                ::kill(pid, SIGKILL);
            const timespec pause{0, 5 * 1000000};
            ::nanosleep(&pause, nullptr);
        }
    }

    void report() const {
        const int status = *status_;
        if (::write(kGuardStatusFd, &status, sizeof(status)) < 0) {
            // Nobody wants to know.
        }
    }

    const std::vector<std::string>& command_;
    std::vector<char*> arguments_;
    const int end_signal_;
    pid_t program_ = -1;
    std::optional<int> status_;
};

}  // namespace

int run_guard(const std::vector<std::string>& command) {
    return command.empty() ? 1 : Guard(command).run();
}

}  // namespace ark
