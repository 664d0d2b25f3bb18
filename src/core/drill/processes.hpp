#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace ark {

// Processes as /proc shows them, to whom nothing else leads any more.

/// Children, their children and so on; zombies too.
std::vector<pid_t> descendants_of(pid_t pid);

/// Those whose working directory is `directory` (absolute, canonical) or lies below it; this
/// process is left out.
std::vector<pid_t> processes_in(const std::string& directory);

/// Ends every process in the directory, and takes in those that became children of this process. A
/// guard, a postmaster (postmaster.pid in `<directory>/data`) and other processes are asked in a
/// way that makes their exit status 0 or 1, since process 1 may be a server that minds; after 6 s
/// they are killed. Error: timeout when one does not go even then.
void end_processes_in(const std::string& directory);

/// Processor time, in clock ticks, of the processes in the directory: as long as it grows they are
/// at work.
uint64_t processor_time_in(const std::string& directory);

/// The server's process id as the data directory's postmaster.pid has it; 0 without one.
pid_t postmaster_of(const std::string& data_directory);

/// Removes the shared memory segment that a killed server of this data directory has left behind,
/// as its postmaster.pid names it, unless somebody is attached.
void remove_shared_memory_of(const std::string& data_directory);

}  // namespace ark
