#include "server/wal_directory.hpp"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

extern "C" {
#include "access/xlog.h"
#include "access/xlog_internal.h"
}

namespace ark {
namespace {

constexpr char kDirectory[] = "pg_wal";
constexpr char kStatusDirectory[] = "pg_wal/archive_status";
constexpr char kSuffix[] = ".ready";
constexpr size_t kSuffixLength = sizeof(kSuffix) - 1;

// Adds one file of archive_status that waits.
void add_waiting(WaitingFiles* waiting, char* name, TimeLineID timeline) {
    const size_t length = strlen(name);
    struct stat file;
    if (length <= kSuffixLength || strcmp(name + length - kSuffixLength, kSuffix) != 0 ||
        stat(psprintf("%s/%s", kStatusDirectory, name), &file) != 0)
        return;
    if (waiting->files++ == 0 || file.st_mtime < waiting->oldest)
        waiting->oldest = file.st_mtime;
    name[length - kSuffixLength] = '\0';
    if (!IsXLogFileName(name))
        return;
    waiting->segments++;
    TimeLineID its_timeline = 0;
    XLogSegNo number = 0;
    XLogRecPtr begin = InvalidXLogRecPtr;
    XLogFromFileName(name, &its_timeline, &number, wal_segment_size);
    XLogSegNoOffsetToRecPtr(number, 0, wal_segment_size, begin);
    if (its_timeline == timeline && (waiting->first == InvalidXLogRecPtr || begin < waiting->first))
        waiting->first = begin;
}

}  // namespace

WaitingFiles waiting_files(TimeLineID timeline) {
    WaitingFiles waiting = {};
    DIR* directory = opendir(kStatusDirectory);
    if (directory == nullptr)
        return waiting;
    while (struct dirent* entry = readdir(directory))
        add_waiting(&waiting, entry->d_name, timeline);
    closedir(directory);
    return waiting;
}

uint64 wal_directory_bytes() {
    uint64 segments = 0;
    DIR* directory = opendir(kDirectory);
    if (directory == nullptr)
        return 0;
    while (const struct dirent* entry = readdir(directory))
        segments += IsXLogFileName(entry->d_name) ? 1 : 0;
    closedir(directory);
    return segments * static_cast<uint64>(wal_segment_size);
}

uint64 wal_directory_free() {
    struct statvfs system;
    if (statvfs(kDirectory, &system) != 0)
        return 0;
    return static_cast<uint64>(system.f_bavail) * system.f_frsize;
}

}  // namespace ark
