#include "core/drill/processes.hpp"

#include <dirent.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <climits>
#include <csignal>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <sstream>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/file.hpp"

namespace ark {

namespace {

constexpr int64_t kGentleNanos = 6 * 1000000000LL;
constexpr int64_t kPatienceNanos = 12 * 1000000000LL;
constexpr useconds_t kPauseMicros = 10000;

std::vector<pid_t> all_processes() {
    std::vector<pid_t> pids;
    const std::unique_ptr<DIR, int (*)(DIR*)> proc(::opendir("/proc"), ::closedir);
    while (const dirent* entry = proc ? ::readdir(proc.get()) : nullptr) {
        const std::string_view name = entry->d_name;
        pid_t pid = 0;
        const auto result = std::from_chars(name.data(), name.data() + name.size(), pid);
        if (result.ec == std::errc{} && result.ptr == name.data() + name.size())
            pids.push_back(pid);
    }
    return pids;
}

// /proc/<pid>/stat from the third field on, the state; what comes before may hold anything.
struct ProcessStat {
    char state = ' ';
    pid_t parent = 0;
    uint64_t ticks = 0;
};

std::optional<ProcessStat> stat_of(pid_t pid) {
    try {
        const auto content = read_file_if_exists("/proc/" + std::to_string(pid) + "/stat", 4096);
        if (!content)
            return std::nullopt;
        const std::string text(as_text(*content));
        std::istringstream fields(text.substr(std::min(text.rfind(')') + 1, text.size())));
        ProcessStat out;
        std::string skipped;
        uint64_t user = 0;
        uint64_t system = 0;
        fields >> out.state >> out.parent;
        for (int field = 5; field < 14; ++field)
            fields >> skipped;
        fields >> user >> system;
        out.ticks = user + system;
        return out;
    } catch (const Error&) {
        return std::nullopt;  // it has gone
    }
}

bool is_at_or_below(std::string_view path, std::string_view directory) {
    if (!path.starts_with(directory))
        return false;
    const std::string_view rest = path.substr(directory.size());
    return rest.empty() || rest.starts_with('/') || rest == " (deleted)";
}

// Children of ours that ended: nobody else takes them in.
void reap_orphans() {
    for (const pid_t pid : all_processes()) {
        const auto stat = stat_of(pid);
        if (stat && stat->parent == ::getpid() && stat->state == 'Z')
            ::waitpid(pid, nullptr, WNOHANG);
    }
}

// postmaster.pid (src/include/utils/pidfile.h); a standalone backend's number is negative.
struct PidFile {
    pid_t pid = 0;
    int shared_memory_id = -1;
};

std::optional<PidFile> read_pid_file(const std::string& data_directory) {
    constexpr size_t kLimit = 65536;
    constexpr int kSharedMemoryLine = 7;
    const auto content = read_file_if_exists(data_directory + "/postmaster.pid", kLimit);
    if (!content)
        return std::nullopt;
    std::istringstream lines{std::string(as_text(*content))};
    PidFile out;
    std::string line;
    for (int number = 1; number <= kSharedMemoryLine && std::getline(lines, line); ++number) {
        std::istringstream words(line);
        unsigned long key = 0;
        if (number == 1)
            words >> out.pid;
        if (number == kSharedMemoryLine && !(words >> key >> out.shared_memory_id))
            out.shared_memory_id = -1;
    }
    return out;
}

}  // namespace

std::vector<pid_t> descendants_of(pid_t pid) {
    std::multimap<pid_t, pid_t> children;
    for (const pid_t other : all_processes()) {
        if (const auto stat = stat_of(other))
            children.emplace(stat->parent, other);
    }
    std::vector<pid_t> out{pid};
    for (size_t i = 0; i < out.size(); ++i) {
        const auto [begin, end] = children.equal_range(out[i]);
        for (auto child = begin; child != end; ++child)
            out.push_back(child->second);
    }
    out.erase(out.begin());
    return out;
}

std::vector<pid_t> processes_in(const std::string& directory) {
    std::vector<pid_t> out;
    for (const pid_t pid : all_processes()) {
        std::array<char, PATH_MAX> buffer{};
        const std::string link = "/proc/" + std::to_string(pid) + "/cwd";
        const ssize_t n = ::readlink(link.c_str(), buffer.data(), buffer.size());
        if (n <= 0 || pid == ::getpid())
            continue;
        if (is_at_or_below({buffer.data(), static_cast<size_t>(n)}, directory))
            out.push_back(pid);
    }
    return out;
}

void end_processes_in(const std::string& directory) {
    const int64_t begin = monotonic_nanos();
    const pid_t postmaster = postmaster_of(directory + "/data");
    std::set<pid_t> asked;
    for (;;) {
        const std::vector<pid_t> found = processes_in(directory);
        reap_orphans();
        if (found.empty())
            return;
        const int64_t waited = monotonic_nanos() - begin;
        for (const pid_t pid : found) {
            if (waited > kGentleNanos) {
                ::kill(pid, SIGKILL);
            } else if (asked.insert(pid).second) {
                ::kill(pid, pid == postmaster ? SIGQUIT : SIGTERM);
            }
        }
        if (waited > kPatienceNanos) {
            throw Error(ErrorCode::timeout,
                        "process " + std::to_string(found.front()) + " does not end",
                        "It works in \"" + directory + "\".");
        }
        ::usleep(kPauseMicros);
    }
}

uint64_t processor_time_in(const std::string& directory) {
    uint64_t ticks = 0;
    for (const pid_t pid : processes_in(directory)) {
        if (const auto stat = stat_of(pid))
            ticks += stat->ticks;
    }
    return ticks;
}

pid_t postmaster_of(const std::string& data_directory) {
    return read_pid_file(data_directory).value_or(PidFile{}).pid;
}

void remove_shared_memory_of(const std::string& data_directory) {
    const auto file = read_pid_file(data_directory);
    struct shmid_ds segment {};
    if (file && file->shared_memory_id >= 0 &&
        ::shmctl(file->shared_memory_id, IPC_STAT, &segment) == 0 && segment.shm_nattch == 0 &&
        segment.shm_cpid == file->pid) {
        ::shmctl(file->shared_memory_id, IPC_RMID, nullptr);
    }
}

}  // namespace ark
