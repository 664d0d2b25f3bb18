#include "server/audit_spool.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

extern "C" {
#include "common/file_perm.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "storage/proc.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

constexpr char kSpool[] = "pg_wal/pg_ark.audit";
constexpr char kTaken[] = "pg_wal/pg_ark.audit.taken";
constexpr size_t kMostText = 512;
constexpr size_t kLineSize = 4096;

/// A line under construction. What has no room leaves it `full`.
struct Line {
    char text[kLineSize];
    size_t length;
    bool full;
};

void put(Line* line, char c) {
    if (line->length + 1 < sizeof(line->text))
        line->text[line->length++] = c;
    else
        line->full = true;
}

void put_all(Line* line, const char* text) {
    for (; *text != '\0'; text++)
        put(line, *text);
}

// As a JSON string: control characters, line breaks among them, become spaces.
void put_string(Line* line, const char* text) {
    char cut[kMostText];
    copy_text(cut, sizeof(cut), text);
    put(line, '"');
    for (const char* at = cut; *at != '\0'; at++) {
        const auto c = static_cast<unsigned char>(*at);
        if (c == '"' || c == '\\')
            put(line, '\\');
        put(line, c < 0x20 || c == 0x7F ? ' ' : *at);
    }
    put(line, '"');
}

void put_field(Line* line, const char* key, const char* value) {
    if (value == nullptr || value[0] == '\0')
        return;
    put(line, ',');
    put_string(line, key);
    put(line, ':');
    put_string(line, value);
}

void put_number(Line* line, const char* key, uint64 value) {
    char text[32];
    snprintf(text, sizeof(text), UINT64_FORMAT, value);
    put_field(line, key, text);
}

// A random UUID: an entry that was read twice, on both sides of a crash, is one.
bool put_id(Line* line) {
    uint8 bytes[16];
    if (!pg_strong_random(bytes, sizeof(bytes)))
        return false;
    bytes[6] = static_cast<uint8>((bytes[6] & 0x0F) | 0x40);
    bytes[8] = static_cast<uint8>((bytes[8] & 0x3F) | 0x80);
    put_all(line, "{\"id\":\"");
    for (int i = 0; i < 16; i++) {
        char hex[4];
        snprintf(hex, sizeof(hex), "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
                 bytes[i]);
        put_all(line, hex);
    }
    put(line, '"');
    return true;
}

bool make_line(Line* line, const AuditEntry& entry) {
    if (!put_id(line))
        return false;
    constexpr int64 kEpochs =
        static_cast<int64>(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY * USECS_PER_SEC;
    put_number(line, "at", static_cast<uint64>(GetCurrentTimestamp() + kEpochs));
    put_field(line, "act", entry.act);
    put_field(line, "outcome", entry.outcome);
    put_field(line, "target", entry.target);
    put_field(line, "backup_id", entry.backup_id);
    if (const AuditActor* actor = entry.actor) {
        put_field(line, "session_role", actor->session_role);
        put_field(line, "acting_role", actor->acting_role);
        put_field(line, "client", actor->client);
        put_field(line, "application", actor->application);
        put_field(line, "backend", actor->backend);
        put_number(line, "pid", static_cast<uint64>(actor->pid));
    }
    if (entry.sqlstate != 0)
        put_field(line, "sqlstate", unpack_sql_state(entry.sqlstate));
    put_field(line, "message", entry.message);
    if (entry.doubtful_role != InvalidOid) {
        put_number(line, "doubtful_role", entry.doubtful_role);
        put_number(line, "database", MyDatabaseId);
    }
    put(line, '}');
    put(line, '\n');
    return !line->full;
}

// Whole lines only: what a full disk cut short goes again.
bool append(const Line& line, size_t most) {
    const int file = open(kSpool, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, pg_file_create_mode);
    if (file < 0)
        return false;
    struct stat found = {};
    bool written = false;
    if (fstat(file, &found) == 0 && static_cast<size_t>(found.st_size) + line.length <= most) {
        written = write(file, line.text, line.length) == static_cast<ssize_t>(line.length);
        while (!written && ftruncate(file, found.st_size) != 0 && errno == EINTR) {
        }
    }
    (void)close(file);
    return written;
}

}  // namespace

void spool_audit(const AuditEntry& entry) {
    // An error may be handled in which we hold the locks; they are not to be waited for then.
    if (shared == nullptr || MyProc == nullptr || LWLockHeldByMe(shared->audit_lock) ||
        LWLockHeldByMe(shared->lock))
        return;
    const int saved = errno;
    Line line;
    line.length = 0;
    line.full = false;
    const bool made = make_line(&line, entry);
    // Whoever is refused in a loop must not keep out who does something.
    const bool refused = strcmp(entry.outcome, "refused") == 0;
    LWLockAcquire(shared->audit_lock, LW_EXCLUSIVE);
    if (!made || !append(line, refused ? kMostRefusals : kMostSpooled))
        shared->audit.lost++;
    shared->audit.requested = true;
    LWLockRelease(shared->audit_lock);
    wake_launcher();
    errno = saved;
}

char* take_spooled() {
    struct stat found = {};
    if (stat(kTaken, &found) != 0) {
        LWLockAcquire(shared->audit_lock, LW_EXCLUSIVE);
        const bool moved = rename(kSpool, kTaken) == 0;
        LWLockRelease(shared->audit_lock);
        if (!moved || stat(kTaken, &found) != 0)
            return nullptr;
    }
    const int file = OpenTransientFile(kTaken, O_RDONLY);
    if (file < 0)
        ereport(ERROR,
                (errcode_for_file_access(), errmsg("could not open file \"%s\": %m", kTaken)));
    const auto size = static_cast<size_t>(found.st_size);
    auto* text = static_cast<char*>(palloc(size + 1));
    size_t length = 0;
    while (length < size) {
        const ssize_t got = read(file, text + length, size - length);
        if (got < 0)
            ereport(ERROR,
                    (errcode_for_file_access(), errmsg("could not read file \"%s\": %m", kTaken)));
        if (got == 0)
            break;
        length += static_cast<size_t>(got);
    }
    CloseTransientFile(file);
    text[length] = '\0';
    return text;
}

void forget_taken() {
    if (unlink(kTaken) != 0 && errno != ENOENT)
        ereport(ERROR,
                (errcode_for_file_access(), errmsg("could not remove file \"%s\": %m", kTaken)));
}

uint64 spooled_bytes() {
    uint64 bytes = 0;
    const char* const paths[] = {kSpool, kTaken};
    for (const char* path : paths) {
        struct stat found = {};
        bytes += stat(path, &found) == 0 ? static_cast<uint64>(found.st_size) : 0;
    }
    return bytes;
}

void count_lost(uint64 entries) {
    LWLockAcquire(shared->audit_lock, LW_EXCLUSIVE);
    shared->audit.lost += entries;
    shared->audit.requested = true;
    LWLockRelease(shared->audit_lock);
}

void request_audit() {
    LWLockAcquire(shared->audit_lock, LW_EXCLUSIVE);
    shared->audit.requested = true;
    LWLockRelease(shared->audit_lock);
    wake_launcher();
}

}  // namespace ark
