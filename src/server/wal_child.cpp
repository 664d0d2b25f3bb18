#include "server/wal_child.hpp"

#include <sys/stat.h>

#include "server/settings.hpp"

extern "C" {
#include "utils/memutils.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

constexpr int kGraceMs = 1000;
constexpr int kFirstPauseMs = 1000;
constexpr int kLastPauseMs = 30 * 1000;

char* as_sentence(const char* message) {
    char* text = pstrdup(message);
    if (strncmp(text, "pg_ark", 6) != 0)
        text[0] = static_cast<char>(pg_toupper(static_cast<unsigned char>(text[0])));
    return text;
}

}  // namespace

char* wal_child_signature(const char* more) {
    const char* program = program_path();
    struct stat file = {};
    (void)stat(program, &file);
    return psprintf("%s|%s|%s|%d|%d|%d|%d|%s|%s|%lu.%lu.%ld.%ld.%ld|%s", settings.repositories,
                    settings.cluster, program, settings.compression_level, settings.backup_jobs,
                    settings.memory_limit_mb, settings.retry_timeout_s, settings.fault,
                    encryption_signature(), static_cast<unsigned long>(file.st_dev),
                    static_cast<unsigned long>(file.st_ino), static_cast<long>(file.st_size),
                    static_cast<long>(file.st_mtim.tv_sec), static_cast<long>(file.st_mtim.tv_nsec),
                    more);
}

void wal_child_start(WalChild* self, const char* signature) {
    self->said_why = false;
    self->child = child_start(program_path(), self->role, ChildWait::kLatch);
    self->started_with = MemoryContextStrdup(TopMemoryContext, signature);
}

void wal_child_stop(WalChild* self, bool hurry, int polite_ms) {
    if (self->child != nullptr)
        (void)child_stop(self->child, hurry ? 0 : polite_ms, kGraceMs);
    self->child = nullptr;
    if (self->started_with != nullptr)
        pfree(self->started_with);
    self->started_with = nullptr;
}

bool wal_child_is_outdated(const WalChild& self, const char* signature) {
    return self.started_with != nullptr && strcmp(self.started_with, signature) != 0;
}

JobError wal_child_end(const WalChild& self) {
    JobError error = {};
    if (self.said_why)
        return error;
    constexpr int kReapMs = 200;
    Child* child = self.child;
    const char* how =
        child_reap(child, kReapMs) ? describe_exit(child->wait_status) : "closed its output";
    error.sqlstate = ERRCODE_CONNECTION_FAILURE;
    strlcpy(error.message, "pg_ark ended before its work was done", sizeof(error.message));
    snprintf(error.detail, sizeof(error.detail), "Process %d %s.", static_cast<int>(child->pid),
             how);
    strlcpy(error.hint, "The server's log may hold its last words.", sizeof(error.hint));
    return error;
}

void wal_child_log_error(WalChild* self, const JobError& error, int interval_ms) {
    self->in_trouble = true;
    // By kind, not by wording: a message may name what is another at each try.
    if (!throttle_passes(&self->error_throttle, unpack_sql_state(error.sqlstate), interval_ms))
        return;
    ereport(WARNING, (errcode(error.sqlstate), errmsg_internal("%s", self->trouble),
                      errdetail_internal("%s.%s%s", as_sentence(error.message),
                                         error.detail[0] != '\0' ? " " : "", error.detail),
                      error.hint[0] != '\0' ? errhint("%s", error.hint) : 0));
}

void wal_child_log_warning(Throttle* throttle, const Message& message) {
    const JobError warning = error_in(message);
    if (!throttle_passes(throttle, warning.message))
        return;
    ereport(WARNING, (errcode(warning.sqlstate), errmsg_internal("%s", warning.message),
                      warning.detail[0] != '\0' ? errdetail_internal("%s", warning.detail) : 0,
                      warning.hint[0] != '\0' ? errhint("%s", warning.hint) : 0));
}

void wal_child_pause_for(WalChild* self, int ms) {
    self->pause_ms = ms;
    self->not_before = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ms);
}

void wal_child_pause_longer(WalChild* self) {
    wal_child_pause_for(
        self, self->pause_ms == 0 ? kFirstPauseMs : Min(self->pause_ms * 2, kLastPauseMs));
}

bool wal_child_may_start(const WalChild& self) {
    return self.child == nullptr && (self.pause_ms == 0 || pause_is_over(self.not_before));
}

}  // namespace ark
