// What happens to the server when the kernel kills one process for lack of memory. A child of ours
// is such a process, and its end must not end the server: under systemd's default OOMPolicy=stop,
// and in a container whose cgroup is killed as a group, it does.
#include <dirent.h>

#include "server/preflight.hpp"

extern "C" {
#include "storage/fd.h"
}

namespace ark {
namespace {

constexpr int kLine = 1024;

// The first line of the file that begins with `prefix`, without it and without its newline; or
// NULL.
char* line_of(const char* path, const char* prefix) {
    char line[kLine];
    char* found = nullptr;
    FILE* file = AllocateFile(path, "r");
    if (file == nullptr)
        return nullptr;
    while (found == nullptr && fgets(line, sizeof(line), file) != nullptr) {
        if (strncmp(line, prefix, strlen(prefix)) != 0)
            continue;
        line[strcspn(line, "\r\n")] = '\0';
        found = pstrdup(line + strlen(prefix));
    }
    FreeFile(file);
    return found;
}

// OOMPolicy= in the drop-ins of that name, later directories first; or NULL.
char* policy_in_drop_ins(const char* root, const char* name) {
    char* found = nullptr;
    char* path = psprintf("%s/%s.d", root, name);
    DIR* directory = AllocateDir(path);
    if (directory == nullptr)
        return nullptr;
    while (struct dirent* entry = ReadDirExtended(directory, path, DEBUG1)) {
        if (found == nullptr && entry->d_name[0] != '.')
            found = line_of(psprintf("%s/%s", path, entry->d_name), "OOMPolicy=");
    }
    FreeDir(directory);
    return found;
}

// postgresql@15-main.service is made from postgresql@.service.
char* template_of(const char* unit) {
    const char* at = strchr(unit, '@');
    const char* dot = strrchr(unit, '.');
    return at != nullptr && dot != nullptr
               ? psprintf("%.*s%s", static_cast<int>(at - unit) + 1, unit, dot)
               : pstrdup(unit);
}

char* policy_of_unit(const char* unit) {
    const char* roots[] = {"/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system",
                           "/lib/systemd/system"};
    const char* names[] = {unit, template_of(unit)};
    for (const char* name : names) {
        for (const char* root : roots) {
            if (char* policy = policy_in_drop_ins(root, name))
                return policy;
        }
    }
    for (const char* name : names) {
        for (const char* root : roots) {
            if (char* policy = line_of(psprintf("%s/%s", root, name), "OOMPolicy="))
                return policy;
        }
    }
    return pstrdup("stop");
}

bool ends_with(const char* text, const char* end) {
    const size_t length = strlen(text);
    return length >= strlen(end) && strcmp(text + length - strlen(end), end) == 0;
}

}  // namespace

void check_out_of_memory(CheckSink* sink) {
    const char* group = line_of("/proc/self/cgroup", "0::");
    if (group == nullptr)
        return put_check(sink, {"oom_policy", true, "no control group (v2) tells", nullptr});
    const char* together = line_of(psprintf("/sys/fs/cgroup%s/memory.oom.group", group), "");
    if (together != nullptr && strcmp(together, "1") == 0)
        return put_check(sink,
                         {"oom_policy", false,
                          "when memory runs out the kernel kills the whole control group, and "
                          "with a pg_ark process the server",
                          "Give the container room beyond pg_ark.memory_limit, or run the "
                          "kubelet with singleProcessOOMKill: true."});
    if (!ends_with(group, ".service"))
        return put_check(sink, {"oom_policy", true, "one process is killed at a time", nullptr});
    const char* unit = strrchr(group, '/') + 1;
    const char* policy = policy_of_unit(unit);
    put_check(sink,
              {"oom_policy", strcmp(policy, "continue") == 0,
               psprintf("unit %s has OOMPolicy=%s", unit, policy),
               psprintf("With systemctl edit %s set OOMPolicy=continue in [Service]: else the "
                        "end of one process for lack of memory stops the server.",
                        unit)});
}

}  // namespace ark
