#include "server/known_repository.hpp"

#include <fcntl.h>
#include <unistd.h>

#include "server/settings.hpp"

extern "C" {
#include "miscadmin.h"
#include "storage/fd.h"
}

namespace ark {
namespace {

// "<id> <url>\n"
constexpr size_t kMostBytes = 8192;

char* read_memory() {
    char* text = static_cast<char*>(palloc0(kMostBytes + 1));
    const int fd = BasicOpenFile(kKnownRepositoryFile, O_RDONLY | PG_BINARY);
    if (fd < 0 && errno == ENOENT)
        return nullptr;
    const ssize_t n = fd < 0 ? -1 : read(fd, text, kMostBytes);
    const int error = errno;
    if (fd >= 0)
        close(fd);
    errno = error;
    // Not knowing is not the same as none: a new repository could be begun beside the old one.
    if (n < 0)
        ereport(ERROR, (errcode_for_file_access(),
                        errmsg("could not read file \"%s\": %m", kKnownRepositoryFile)));
    return n > 0 ? text : nullptr;
}

void write_memory(const char* text) {
    // Two processes may do this at once, with the same text.
    const char* temporary = psprintf("%s.%d.tmp", kKnownRepositoryFile, MyProcPid);
    const int fd = BasicOpenFile(temporary, O_WRONLY | O_CREAT | O_TRUNC | PG_BINARY);
    const size_t length = strlen(text);
    const bool written = fd >= 0 && write(fd, text, length) == static_cast<ssize_t>(length);
    const int error = errno;
    if (fd >= 0)
        close(fd);
    errno = error;
    if (!written)
        ereport(ERROR,
                (errcode_for_file_access(), errmsg("could not write file \"%s\": %m", temporary)));
    // Flushes the file before it renames it.
    (void)durable_rename(temporary, kKnownRepositoryFile, ERROR);
}

}  // namespace

char* known_repository_id() {
    char* text = read_memory();
    char* space = text != nullptr ? strchr(text, ' ') : nullptr;
    if (space == nullptr)
        return nullptr;
    *space = '\0';
    char* url = space + 1;
    url[strcspn(url, "\n")] = '\0';
    return strcmp(url, settings.repositories) == 0 ? text : nullptr;
}

void require_known_repository(const char* id) {
    const char* known = known_repository_id();
    if (known == nullptr || strcmp(known, id) == 0)
        return;
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("the repository at \"%s\" is not the one that this server has used there",
                    settings.repositories),
             errdetail("Its id is %s; the server has used %s.", id, known),
             errhint("Mount the right file system. To go on with this one, remove the file \"%s\" "
                     "in the data directory.",
                     kKnownRepositoryFile)));
}

void remember_repository(const char* id) {
    require_known_repository(id);
    if (known_repository_id() == nullptr)
        write_memory(psprintf("%s %s\n", id, settings.repositories));
}

}  // namespace ark
