#include "core/base/fault.hpp"

#if defined(PG_ARK_TEST_FAULTS)

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <vector>

#include "core/base/error.hpp"

namespace ark {

namespace {

struct Fault {
    std::string action;
    int countdown = 1;
};

struct Registry {
    Registry() {
        const char* text = std::getenv("PG_ARK_FAULT");
        if (text != nullptr)
            parse(text);
    }
    void parse(const std::string& specification) {
        faults.clear();
        std::istringstream items(specification);
        for (std::string item; std::getline(items, item, ',');) {
            const size_t equals = item.find('=');
            if (equals == std::string::npos)
                continue;
            Fault fault{item.substr(equals + 1), 1};
            if (const size_t at = fault.action.find('@'); at != std::string::npos) {
                fault.countdown = std::atoi(fault.action.c_str() + at + 1);
                fault.action.resize(at);
            }
            faults[item.substr(0, equals)] = fault;
        }
    }
    std::mutex mutex;
    std::map<std::string, Fault> faults;
};

Registry& registry() {
    static Registry instance;
    return instance;
}

[[noreturn]] void eat_memory() {
    std::vector<std::unique_ptr<char[]>> hoard;
    for (;;) {
        constexpr size_t kPiece = 16 << 20;
        hoard.push_back(std::make_unique<char[]>(kPiece));  // value-initialised: really touched
    }
}

void act(const std::string& action, const char* name) {
    if (action == "kill")
        raise(SIGKILL);
    if (action == "segv") {
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
    }
    if (action == "exit3")
        _exit(3);
    if (action == "oom")
        eat_memory();
    if (action == "enospc")
        throw system_error(ENOSPC, std::string("fault point ") + name);
    if (action == "eio")
        throw system_error(EIO, std::string("fault point ") + name);
    if (action == "sleep")
        sleep(60);
    if (action == "stop")
        raise(SIGSTOP);
}

}  // namespace

void set_faults(const std::string& specification) {
    const std::lock_guard lock(registry().mutex);
    registry().parse(specification);
}

bool fault_is_named(const char* name) {
    const std::lock_guard lock(registry().mutex);
    return registry().faults.contains(name);
}

void fault_point(const char* name) {
    std::string action;
    {
        const std::lock_guard lock(registry().mutex);
        const auto found = registry().faults.find(name);
        if (found == registry().faults.end() || --found->second.countdown != 0)
            return;
        action = found->second.action;
    }
    act(action, name);
}

}  // namespace ark

#else

namespace ark {
void set_faults(const std::string& /*specification*/) {}
}  // namespace ark

#endif
