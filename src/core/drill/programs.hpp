#pragma once

#include <string>
#include <vector>

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

/// Runs a program below a guard to its end; its output.
struct ProgramOutput {
    int status = 0;  ///< its exit status; -1 when a signal ended it
    std::string text;
};
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
