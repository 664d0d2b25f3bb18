#pragma once

#include <string>
#include <vector>

#include "core/drill/guarded_process.hpp"
#include "core/drill/scratch_directory.hpp"
#include "core/drill/watch.hpp"

namespace ark {

/// A server's programs: where they are, and the version that `postgres --version` tells.
struct ServerPrograms {
    std::string directory;
    std::string version;  ///< "15.8"
    std::string postgres() const { return directory + "/postgres"; }
    std::string verifybackup() const { return directory + "/pg_verifybackup"; }
};

struct ProgramOutput {
    int status = 0;  ///< its exit status; -1 when a signal ended it
    std::string text;
};

/// A program below a guard, at work. On the main thread, one at a time in a scratch directory.
class RunningProgram {
 public:
    /// Error: system_error's.
    RunningProgram(const std::string& guard, const std::vector<std::string>& command,
                   const ScratchDirectory& scratch, const std::string& input = "/dev/null");
    /// Waits for its end. Error: unavailable where somebody killed it; what the watch throws.
    ProgramOutput wait(Watch& watch);

 private:
    const std::string name_;
    const std::string output_;
    GuardedProcess process_;
};

/// Runs it to its end.
ProgramOutput run_program(const std::string& guard, const std::vector<std::string>& command,
                          const ScratchDirectory& scratch, Watch& watch,
                          const std::string& input = "/dev/null");

/// The programs of this major version: in `directory` where given, else where packages put them and
/// in PATH. Error: not_found, naming where was looked.
ServerPrograms find_programs(uint32_t major, const std::string& directory, const std::string& guard,
                             const ScratchDirectory& scratch, Watch& watch);

/// "15.8" of "postgres (PostgreSQL) 15.8 (Debian 15.8-1)"; empty for anything else. Pure.
std::string version_in(const std::string& text);

}  // namespace ark
