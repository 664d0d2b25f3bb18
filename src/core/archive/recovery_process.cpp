#include "core/archive/recovery_process.hpp"

#include <charconv>
#include <sstream>

#include "core/base/bytes.hpp"
#include "core/base/error.hpp"
#include "core/base/file.hpp"

namespace ark {

namespace {

constexpr size_t kSmallFile = 65536;

struct ProcessFacts {
    char state = 0;
    pid_t parent = 0;
    uint64_t start_time = 0;
};

// /proc/<pid>/stat: the name, in parentheses, may hold anything; what follows has a fixed form.
std::optional<ProcessFacts> facts_of(pid_t pid) {
    std::string text;
    try {
        const auto content =
            read_file_if_exists("/proc/" + std::to_string(pid) + "/stat", kSmallFile);
        text = content ? std::string(as_text(*content)) : "";
    } catch (const Error&) {
        return std::nullopt;  // it ended between open and read (ESRCH)
    }
    const size_t name_end = text.rfind(')');
    if (name_end == std::string::npos)
        return std::nullopt;
    std::istringstream fields(text.substr(name_end + 1));
    ProcessFacts facts;
    fields >> facts.state >> facts.parent;
    constexpr int kBetween = 17;  // fields 5 to 21
    std::string passed_over;
    for (int i = 0; i < kBetween; ++i)
        fields >> passed_over;
    fields >> facts.start_time;
    return fields ? std::optional(facts) : std::nullopt;
}

// Negative for a server in single-user mode; 0 where there is no server.
pid_t server_of(const std::string& data_directory) {
    pid_t pid = 0;
    const auto content = read_file_if_exists(data_directory + "/postmaster.pid", kSmallFile);
    if (content) {
        const std::string_view text = as_text(*content);
        std::from_chars(text.data(), text.data() + text.size(), pid);
    }
    return pid;
}

}  // namespace

std::optional<RecoveryProcess> find_recovery_process(const std::string& data_directory,
                                                     pid_t descendant) {
    const pid_t server = server_of(data_directory);
    if (server == 0)
        return std::nullopt;
    constexpr int kGenerations = 8;
    const auto own = facts_of(descendant);
    pid_t pid = own ? own->parent : 0;
    for (int i = 0; i < kGenerations && pid > 0; ++i) {
        // An orphan of the postmaster's: who has started it is gone.
        if (pid == server)
            return std::nullopt;
        const auto facts = facts_of(pid);
        if (!facts)
            return std::nullopt;
        if (facts->parent == server || pid == -server)
            return RecoveryProcess{pid, facts->start_time, server == 1};
        pid = facts->parent;
    }
    return std::nullopt;
}

bool is_running(const RecoveryProcess& process) noexcept {
    try {
        const auto facts = facts_of(process.pid);
        return facts && facts->start_time == process.start_time && facts->state != 'Z' &&
               facts->state != 'X';
    } catch (...) {
        return true;  // no memory to tell
    }
}

}  // namespace ark
