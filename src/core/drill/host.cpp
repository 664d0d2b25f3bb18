#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/drill/job.hpp"

namespace ark {

namespace {

constexpr int kLowestPriority = 19;

// ioprio_set(2) has no wrapper: class idle, for this process.
void yield_the_disk() {
    constexpr int kWhoProcess = 1;
    constexpr int kIdle = 3 << 13;
    ::syscall(SYS_ioprio_set, kWhoProcess, 0, kIdle);
}

// Where memory runs out the scratch server goes before the live one.
void be_killed_first() {
    try {
        File file = File::open("/proc/self/oom_score_adj", O_WRONLY);
        file.write_all(as_bytes("900"));
    } catch (const Error&) {
        // Only a wish.
    }
}

// libpq reads them, and they would lead to the live server.
void forget_postgres_environment() {
    std::vector<std::string> names;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string text = *entry;
        if (text.starts_with("PG") && !text.starts_with("PG_ARK_"))
            names.push_back(text.substr(0, text.find('=')));
    }
    for (const std::string& name : names)
        ::unsetenv(name.c_str());
}

}  // namespace

void become_scratch_host() {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    ::setpriority(PRIO_PROCESS, 0, kLowestPriority);
    yield_the_disk();
    be_killed_first();
    forget_postgres_environment();
}

}  // namespace ark
