#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "core/base/file.hpp"

namespace ark {

/// A program to run below a guard (drill/guard.hpp).
struct ProgramCall {
    std::string guard;                 ///< absolute path of this executable
    std::vector<std::string> command;  ///< the program's absolute path first
    std::string directory;             ///< where it works: what is left of it is found there
    std::string output;                ///< file that its output is appended to
    std::string input = "/dev/null";
};

/// How a program ended.
struct ProgramEnd {
    std::optional<int> status;  ///< its exit status; nullopt: a signal ended it or its guard
    int signal = 0;  ///< that ended the program; 0 where it was the guard that was killed
};

/// Runs it. To be used on the main thread: the guard dies with the thread that started it.
class GuardedProcess {
 public:
    /// Error: system_error's.
    explicit GuardedProcess(const ProgramCall& call);
    /// Ends the program if it runs, and all that it started.
    ~GuardedProcess();
    GuardedProcess(const GuardedProcess&) = delete;
    GuardedProcess& operator=(const GuardedProcess&) = delete;

    /// How it ended; nullopt while it runs.
    std::optional<ProgramEnd> poll();
    /// Asks the guard to end everything and waits for it, 8 s at most before it is killed.
    void end() noexcept;

 private:
    void reaped(int guard_status);

    pid_t guard_ = -1;
    std::string directory_;
    File status_;  ///< read end
    std::optional<ProgramEnd> ended_;
};

/// This process's environment for the programs: nothing of PostgreSQL's, messages in English.
std::vector<std::string> scratch_environment();

/// Whether a program that ended so was killed, by a person or for its memory: it says nothing of
/// what the program worked on. 0: nobody knows how it ended.
bool is_from_outside(int signal) noexcept;

}  // namespace ark
