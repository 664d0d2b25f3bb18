#include "core/restore/running_server.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <csignal>
#include <memory>
#include <sstream>

#include "core/base/bytes.hpp"
#include "core/base/error.hpp"
#include "core/base/file.hpp"

namespace ark {

namespace {

constexpr size_t kPidFileLimit = 1 << 16;

std::string proc_path(pid_t pid, const char* what) {
    return "/proc/" + std::to_string(pid) + "/" + what;
}

bool is_server_program(pid_t pid) {
    try {
        const auto name = read_file_if_exists(proc_path(pid, "comm"), 1024);
        const std::string_view text = name ? as_text(*name) : std::string_view();
        return text.starts_with("postgres") || text.starts_with("postmaster");
    } catch (const Error&) {
        return false;  // it ended between open and read (ESRCH)
    }
}

std::optional<std::string> working_directory(pid_t pid) {
    std::array<char, PATH_MAX> buffer{};
    const ssize_t n = ::readlink(proc_path(pid, "cwd").c_str(), buffer.data(), buffer.size());
    if (n <= 0)
        return std::nullopt;
    return std::string(buffer.data(), static_cast<size_t>(n));
}

std::vector<pid_t> all_processes() {
    std::vector<pid_t> pids;
    const std::unique_ptr<DIR, int (*)(DIR*)> proc(::opendir("/proc"), ::closedir);
    if (!proc)
        return pids;
    while (const dirent* entry = ::readdir(proc.get())) {
        pid_t pid = 0;
        const std::string_view name = entry->d_name;
        const auto result = std::from_chars(name.data(), name.data() + name.size(), pid);
        if (result.ec == std::errc{} && result.ptr == name.data() + name.size())
            pids.push_back(pid);
    }
    return pids;
}

bool same_directory(const std::string& a, const struct stat& b) {
    struct stat st {};
    return ::stat(a.c_str(), &st) == 0 && st.st_dev == b.st_dev && st.st_ino == b.st_ino;
}

// The lines that the server writes (src/include/utils/pidfile.h): process id, data directory, start
// time, port, socket directory, listen address, shared memory key and id, status.
struct PidFile {
    pid_t pid = 0;
    int shared_memory_id = -1;
};

std::optional<PidFile> read_pid_file(const std::string& data_directory) {
    const auto content = read_file_if_exists(data_directory + "/postmaster.pid", kPidFileLimit);
    if (!content)
        return std::nullopt;
    PidFile out;
    std::istringstream lines{std::string(as_text(*content))};
    constexpr int kSharedMemoryLine = 7;
    std::string line;
    for (int number = 1; std::getline(lines, line); ++number) {
        std::istringstream words(line);
        unsigned long key = 0;
        if (number == 1)
            words >> out.pid;
        if (number == kSharedMemoryLine && !(words >> key >> out.shared_memory_id)) {
            out.shared_memory_id = -1;
        }
    }
    if (out.pid < 0)
        out.pid = -out.pid;  // a standalone backend writes a negative one
    return out;
}

bool somebody_attached(int shared_memory_id) {
    struct shmid_ds segment {};
    return shared_memory_id >= 0 && ::shmctl(shared_memory_id, IPC_STAT, &segment) == 0 &&
           segment.shm_nattch > 0;
}

bool is_alive(pid_t pid) {
    return pid > 0 && (::kill(pid, 0) == 0 || errno == EPERM);
}

}  // namespace

std::vector<RunningServer> visible_servers() {
    std::vector<RunningServer> servers;
    for (const pid_t pid : all_processes()) {
        if (!is_server_program(pid))
            continue;
        const auto directory = working_directory(pid);
        if (directory)
            servers.push_back({pid, *directory, {}});
    }
    return servers;
}

std::optional<RunningServer> find_running_server(const std::string& data_directory) {
    struct stat st {};
    if (::stat(data_directory.c_str(), &st) != 0)
        return std::nullopt;
    for (const RunningServer& server : visible_servers()) {
        if (!same_directory(proc_path(server.pid, "cwd"), st))
            continue;
        return RunningServer{server.pid, data_directory,
                             "Process " + std::to_string(server.pid) + " works in it."};
    }
    const auto pid_file = read_pid_file(data_directory);
    if (!pid_file)
        return std::nullopt;
    // A process id is used again sooner or later, and a copied data directory has the file too: a
    // process that is seen to work elsewhere is not this server.
    const bool alive = is_alive(pid_file->pid);
    if (alive && working_directory(pid_file->pid))
        return std::nullopt;
    const std::string who = "Its postmaster.pid names process " + std::to_string(pid_file->pid);
    if (somebody_attached(pid_file->shared_memory_id)) {
        return RunningServer{pid_file->pid, data_directory,
                             who + ", and its shared memory is in use."};
    }
    if (!alive || !is_server_program(pid_file->pid))
        return std::nullopt;
    return RunningServer{pid_file->pid, data_directory,
                         who + ", a server process that belongs to another user."};
}

}  // namespace ark
