#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace ark {

/// The process that recovers: the startup process, or a server in single-user mode.
struct RecoveryProcess {
    pid_t pid = 0;
    uint64_t start_time = 0;  ///< as /proc tells it: a process id is used again
    bool under_init = false;  ///< the postmaster is process 1, and reaps orphans

    bool operator==(const RecoveryProcess&) const = default;
};

/// The process of this data directory's server that has started `descendant`, with a shell between
/// them or none. nullopt where no server of this directory has.
std::optional<RecoveryProcess> find_recovery_process(const std::string& data_directory,
                                                     pid_t descendant);

/// False once it has ended, waited for or not.
bool is_running(const RecoveryProcess& process) noexcept;

}  // namespace ark
