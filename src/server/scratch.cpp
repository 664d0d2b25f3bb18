#include "server/scratch.hpp"

#include <dirent.h>
#include <unistd.h>

#include <climits>

#include "server/conversation.hpp"
#include "server/settings.hpp"

extern "C" {
#include "access/xlog.h"
#include "miscadmin.h"
}

namespace ark {
namespace {

// Scratch servers that are still alive are ended first, and a large directory takes a while.
constexpr int64 kSweepTimeoutMs = INT64CONST(2) * 60 * 1000;
constexpr int kPoliteMs = 1000;
constexpr int kGraceMs = 5000;

List* add_place(List* places, const char* path) {
    char resolved[PATH_MAX];
    return lappend(places, pstrdup(realpath(path, resolved) != nullptr ? resolved : path));
}

uint64 ask_to_sweep(Child* child) {
    (void)greet(child, deadline_in_ms(kSweepTimeoutMs));
    StringInfoData out;
    initStringInfo(&out);
    message_begin(&out, "sweep");
    message_text(&out, "scratch", scratch_directory());
    message_end(&out);
    child_send(child, out);
    return get_number(receive_verb(child, "swept", deadline_in_ms(kSweepTimeoutMs)), "count");
}

}  // namespace

char* scratch_directory() {
    if (settings.scratch_directory[0] != '\0')
        return pstrdup(settings.scratch_directory);
    char parent[MAXPGPATH];
    strlcpy(parent, DataDir, sizeof(parent));
    get_parent_directory(parent);
    return psprintf("%s/pg_ark-scratch-" UINT64_FORMAT, parent, GetSystemIdentifier());
}

char* server_program_directory() {
    char directory[MAXPGPATH];
    strlcpy(directory, my_exec_path, sizeof(directory));
    get_parent_directory(directory);
    return pstrdup(directory);
}

List* live_directories() {
    List* places = add_place(add_place(NIL, DataDir), "pg_wal");
    DIR* links = opendir("pg_tblspc");
    if (links == nullptr)
        return places;
    while (struct dirent* entry = readdir(links)) {
        if (entry->d_name[0] != '.')
            places = add_place(places, psprintf("pg_tblspc/%s", entry->d_name));
    }
    closedir(links);
    return places;
}

uint64 sweep_scratch_directory() {
    Child* child = child_start(program_path(), "server-drill", ChildWait::kLatch);
    volatile uint64 count = 0;
    PG_TRY();
    { count = ask_to_sweep(child); }
    PG_FINALLY();
    { (void)child_stop(child, kPoliteMs, kGraceMs); }
    PG_END_TRY();
    return count;
}

}  // namespace ark
