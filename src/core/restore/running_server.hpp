#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace ark {

/// A PostgreSQL server at work.
struct RunningServer {
    pid_t pid = 0;
    std::string data_directory;  ///< where it runs; empty when this user may not see it
    std::string evidence;        ///< a sentence for an error's detail
};

/// The server that runs in this data directory, if any: a server process with it as its working
/// directory, a postmaster.pid whose process lives and cannot be ruled out, or its shared memory
/// with somebody attached. A postmaster.pid that a crash left behind is no evidence.
std::optional<RunningServer> find_running_server(const std::string& data_directory);

/// The servers that this user can see, one entry a process.
std::vector<RunningServer> visible_servers();

}  // namespace ark
