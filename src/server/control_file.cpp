#include "server/control_file.hpp"

#include <fcntl.h>
#include <unistd.h>

extern "C" {
#include "port/pg_crc32c.h"
#include "storage/fd.h"
#include "storage/lwlock.h"
}

namespace ark {
namespace {

constexpr char kPath[] = "global/pg_control";

bool checksum_is_right(const char* data) {
    ControlFileData control;
    memcpy(&control, data, sizeof(control));
    pg_crc32c crc;
    INIT_CRC32C(crc);
    COMP_CRC32C(crc, data, offsetof(ControlFileData, crc));
    FIN_CRC32C(crc);
    return EQ_CRC32C(crc, control.crc);
}

}  // namespace

// The server rewrites the file in place: without the lock a read could be torn.
char* read_control_file() {
    char* data = static_cast<char*>(palloc0(PG_CONTROL_FILE_SIZE));
    LWLockAcquire(ControlFileLock, LW_SHARED);
    const int fd = BasicOpenFile(kPath, O_RDONLY | PG_BINARY);
    const ssize_t n = fd < 0 ? -1 : pread(fd, data, PG_CONTROL_FILE_SIZE, 0);
    const int error = errno;
    if (fd >= 0)
        close(fd);
    LWLockRelease(ControlFileLock);
    errno = error;
    if (n < 0)
        ereport(ERROR,
                (errcode_for_file_access(), errmsg("could not read file \"%s\": %m", kPath)));
    if (n != PG_CONTROL_FILE_SIZE || !checksum_is_right(data))
        ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                        errmsg("the checksum of file \"%s\" is wrong", kPath)));
    return data;
}

ControlFileData read_control_data() {
    char* data = read_control_file();
    ControlFileData control;
    memcpy(&control, data, sizeof(control));
    pfree(data);
    return control;
}

}  // namespace ark
