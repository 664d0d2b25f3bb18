#include "server/archive_child.hpp"

#include <sys/stat.h>

#include "server/conversation.hpp"
#include "server/settings.hpp"

extern "C" {
#include "utils/memutils.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

constexpr int kPoliteMs = 1000;
constexpr int kGraceMs = 2000;
// The pause before the next start doubles from the first to the last.
constexpr int kFirstPauseMs = 500;
constexpr int kLastPauseMs = 30 * 1000;
// A child that fails this often in a row is started anew: it may hold on to what has changed.
constexpr int kMostFailures = 10;

// All of this belongs to the archiver process.
Child* child = nullptr;
bool is_open = false;
char* started_with = nullptr;  // in TopMemoryContext
TimestampTz not_before = 0;
int pause_ms = 0;
int failures_in_a_row = 0;

// Everything that a running child has been told or was made from; another text means another child.
char* present_signature(const char* program) {
    struct stat file = {};
    (void)stat(program, &file);
    return psprintf("%s|%s|%s|%d|%d|%d|%d|%d|%s|%s|%lu.%lu.%ld.%ld.%ld", settings.repositories,
                    settings.cluster, program, settings.compression_level, settings.backup_jobs,
                    settings.memory_limit_mb, settings.retry_timeout_s, settings.push_timeout_s,
                    settings.fault, encryption_signature(), static_cast<unsigned long>(file.st_dev),
                    static_cast<unsigned long>(file.st_ino), static_cast<long>(file.st_size),
                    static_cast<long>(file.st_mtim.tv_sec),
                    static_cast<long>(file.st_mtim.tv_nsec));
}

// An idle child that has gone, or is out of date, is replaced without a failed try.
void drop_outdated_child(const char* signature) {
    if (child == nullptr)
        return;
    child_wait(child, 0);
    if (child->ended || strcmp(signature, started_with) != 0)
        archive_child_stop();
}

void ensure_open_child(TimestampTz deadline, TimestampTz (*limit)()) {
    const char* program = program_path();
    const char* signature = present_signature(program);
    drop_outdated_child(signature);
    if (child == nullptr) {
        child = child_start(program, "server-archive", ChildWait::kPoll);
        started_with = MemoryContextStrdup(TopMemoryContext, signature);
        child->limit = limit;
        is_open = false;
        (void)greet(child, deadline);
    }
    if (!is_open) {
        // A push is a few requests: what one of them waits for has to be told before the deadline.
        const int retry = Min(settings.retry_timeout_s, Max(1, settings.push_timeout_s / 4));
        const OpenOptions options = {true, 0, 0, retry};
        (void)open_after_greeting(child, options, deadline);
        is_open = true;
    }
}

}  // namespace

Pushed archive_child_push(const char* name, const char* path, TimestampTz deadline,
                          TimestampTz (*limit)()) {
    ensure_open_child(deadline, limit);
    StringInfoData out;
    initStringInfo(&out);
    message_begin(&out, "push");
    message_token(&out, "name", name);
    message_text(&out, "path", path);
    message_end(&out);
    child->answered = child->found_conflict = false;
    child_send(child, out);
    const Message answer = receive_verb(child, "pushed", deadline);
    const char* answered_name = get_token(answer, "name");
    if (answered_name == nullptr || strcmp(answered_name, name) != 0) {
        // Whatever it stored, it is not this file.
        child->answered = false;
        ereport(ERROR,
                (errcode(ERRCODE_PROTOCOL_VIOLATION), errmsg("pg_ark answered for another file"),
                 errdetail("Asked for \"%s\", answered for \"%.80s\".", name,
                           answered_name != nullptr ? answered_name : "")));
    }
    pause_ms = 0;
    failures_in_a_row = 0;
    Pushed pushed = {};
    const char* result = get_token(answer, "result");
    strlcpy(pushed.result, result != nullptr ? result : "stored", sizeof(pushed.result));
    pushed.ahead = get_number(answer, "ahead");
    return pushed;
}

bool archive_child_found_conflict() {
    return child != nullptr && child->found_conflict;
}

void archive_child_after_error() {
    failures_in_a_row++;
    if (child != nullptr && child->answered && !child->ended &&
        failures_in_a_row % kMostFailures != 0)
        return;
    archive_child_stop();
    pause_ms = pause_ms == 0 ? kFirstPauseMs : Min(pause_ms * 2, kLastPauseMs);
    not_before = deadline_in_ms(pause_ms);
}

bool archive_child_is_due() {
    return pause_ms == 0 || pause_is_over(not_before);
}

void archive_child_stop() {
    if (child != nullptr)
        (void)child_stop(child, child->answered ? kPoliteMs : 0, kGraceMs);
    child = nullptr;
    is_open = false;
    if (started_with != nullptr)
        pfree(started_with);
    started_with = nullptr;
}

}  // namespace ark
