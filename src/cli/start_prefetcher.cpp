#include "cli/start_prefetcher.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <vector>

#include "cli/command.hpp"
#include "cli/own_program.hpp"
#include "core/base/error.hpp"

namespace ark {

namespace {

// Closes whatever the server has left open: its log's pipe must not be held open by us.
class SpawnSettings {
 public:
    explicit SpawnSettings(int lock) {
        sigset_t all;
        sigfillset(&all);
        posix_spawn_file_actions_init(&files_);
        for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
            posix_spawn_file_actions_addopen(&files_, fd, "/dev/null", O_RDWR, 0);
        posix_spawn_file_actions_adddup2(&files_, lock, kPrefetchLockFd);
        posix_spawn_file_actions_addclosefrom_np(&files_, kPrefetchLockFd + 1);
        posix_spawnattr_init(&attributes_);
        posix_spawnattr_setsigdefault(&attributes_, &all);
        posix_spawnattr_setsigmask(&attributes_, &all);  // until it has its handlers
        posix_spawnattr_setflags(
            &attributes_, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    }
    ~SpawnSettings() {
        posix_spawnattr_destroy(&attributes_);
        posix_spawn_file_actions_destroy(&files_);
    }
    SpawnSettings(const SpawnSettings&) = delete;
    SpawnSettings& operator=(const SpawnSettings&) = delete;

    int start(const std::string& program, std::vector<std::string> words) const {
        std::vector<char*> arguments;
        arguments.reserve(words.size() + 1);
        for (std::string& word : words)
            arguments.push_back(word.data());
        arguments.push_back(nullptr);
        pid_t pid = 0;
        return posix_spawn(&pid, program.c_str(), &files_, &attributes_, arguments.data(), environ);
    }

 private:
    posix_spawn_file_actions_t files_{};
    posix_spawnattr_t attributes_{};
};

}  // namespace

void start_prefetcher(const PrefetchOrder& order, const KeySource& key, bool require_encryption,
                      SpoolLock& lock) {
    // Onto itself dup2 would leave the descriptor to be closed.
    const File above(fcntl(lock.fd(), F_DUPFD_CLOEXEC, kPrefetchLockFd + 1), "lock");
    if (!above.is_open())
        throw system_error(errno, "could not duplicate a file descriptor");
    const std::string program = own_program();
    const SpawnSettings settings(above.fd());
    const int error = settings.start(
        program, {program, kPrefetchRole, order.data_directory, order.origin.repository_url,
                  order.origin.cluster, order.origin.target_timeline,
                  std::to_string(order.origin.system_identifier), std::to_string(order.segments),
                  std::to_string(order.process.pid), std::to_string(order.process.start_time),
                  order.process.under_init ? "1" : "0", key.file, key.command,
                  require_encryption ? "1" : "0",
                  order.origin.as_of ? std::to_string(*order.origin.as_of) : std::string()});
    if (error != 0)
        throw system_error(error, "could not start \"" + program + "\"");
}

}  // namespace ark
