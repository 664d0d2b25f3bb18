#include "server/conversation.hpp"

#include <sys/wait.h>

#include "server/known_repository.hpp"
#include "server/settings.hpp"

extern "C" {
#include "access/xlog.h"
#include "catalog/catversion.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

// CHECK_FOR_INTERRUPTS at least this often, however long the wait.
constexpr long kSliceMs = 1000;

int sqlstate_of(const Message& message) {
    const char* state = get_token(message, "sqlstate");
    if (state == nullptr || strlen(state) != 5)
        return ERRCODE_EXTERNAL_ROUTINE_EXCEPTION;
    return MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4]);
}

void report(int level, const Message& message) {
    const char* text = get_text(message, "message");
    const char* detail = get_text(message, "detail");
    const char* hint = get_text(message, "hint");
    ereport(level, (errcode(sqlstate_of(message)),
                    errmsg_internal("%s", text != nullptr ? text : "pg_ark reported an error"),
                    detail != nullptr && detail[0] != '\0' ? errdetail_internal("%s", detail) : 0,
                    hint != nullptr && hint[0] != '\0' ? errhint("%s", hint) : 0));
}

[[noreturn]] void report_gone(Child* child) {
    // It closed its output a moment ago; its exit follows at once, unless it hangs in it.
    constexpr int kReapMs = 2000;
    const char* how =
        child_reap(child, kReapMs) ? describe_exit(child->wait_status) : "closed its output";
    ereport(ERROR,
            (errcode(ERRCODE_CONNECTION_FAILURE), errmsg("pg_ark ended before its work was done"),
             errdetail("Process %d %s.", child->pid, how),
             errhint("The server's log may hold its last words.")));
    pg_unreachable();
}

void put_setting(StringInfo out, const char* name, const char* value) {
    message_begin(out, "setting");
    message_token(out, "name", name);
    message_text(out, "value", value);
    message_end(out);
}

void put_number_setting(StringInfo out, const char* name, int value) {
    put_setting(out, name, psprintf("%d", value));
}

void put_settings(StringInfo out, const OpenOptions& options) {
    put_setting(out, "repository", settings.repositories);
    put_setting(out, "cluster", settings.cluster);
    put_number_setting(
        out, "compression_level",
        options.compression_level > 0 ? options.compression_level : settings.compression_level);
    put_number_setting(out, "jobs", options.jobs > 0 ? options.jobs : settings.backup_jobs);
    put_number_setting(out, "memory_limit_mb", settings.memory_limit_mb);
    put_number_setting(out, "wal_timeout_s", settings.wal_timeout_s);
    put_number_setting(
        out, "retry_timeout_s",
        options.retry_timeout > 0 ? options.retry_timeout : settings.retry_timeout_s);
    put_setting(out, "encryption", encryption_name());
    put_setting(out, "encryption_key_file", settings.encryption_key_file);
    put_setting(out, "encryption_key_command", settings.encryption_key_command);
    put_setting(out, "encryption_recipients", settings.encryption_recipients);
    if (settings.fault[0] != '\0')
        put_setting(out, "fault", settings.fault);
}

void put_cluster(StringInfo out) {
    message_begin(out, "cluster");
    message_number(out, "system_identifier", GetSystemIdentifier());
    message_number(out, "pg_version_num", PG_VERSION_NUM);
    message_text(out, "pg_version", GetConfigOption("server_version", false, false));
    message_text(out, "data_directory", DataDir);
    message_number(out, "wal_segment_size", static_cast<uint64>(wal_segment_size));
    message_number(out, "data_checksums", DataChecksumsEnabled() ? 1 : 0);
    message_number(out, "catalog_version", CATALOG_VERSION_NO);
    message_end(out);
}

void put_hello(StringInfo out) {
    message_begin(out, "hello");
    message_number(out, "protocol", kProtocolVersion);
    message_text(out, "module", PG_ARK_VERSION);
    message_end(out);
}

void put_open(StringInfo out, const OpenOptions& options, bool create) {
    put_settings(out, options);
    put_cluster(out);
    message_begin(out, "open");
    message_number(out, "create", create ? 1 : 0);
    if (options.without_key)
        message_number(out, "without_key", 1);
    message_end(out);
}

// Where a repository was used before, none is made: the error says so, beside the child's own
// words.
Message receive_known_opened(Child* child, TimestampTz deadline) {
    MemoryContext context = CurrentMemoryContext;
    Message opened = {};
    PG_TRY();
    { opened = receive_verb(child, "opened", deadline); }
    PG_CATCH();
    {
        MemoryContextSwitchTo(context);
        ErrorData* error = CopyErrorData();
        FlushErrorState();
        const bool absent = error->sqlerrcode == ERRCODE_UNDEFINED_OBJECT ||
                            (error->sqlerrcode == ERRCODE_CONNECTION_FAILURE && child->refused);
        if (absent) {
            error->detail = psprintf(
                "%s%sThis server has used a repository there, and makes no new one in its "
                "place.",
                error->detail != nullptr ? error->detail : "", error->detail != nullptr ? " " : "");
            error->hint = psprintf(
                "Check that its file system is mounted. To begin anew, remove the file \"%s\" in "
                "the data directory.",
                kKnownRepositoryFile);
        }
        ReThrowError(error);
    }
    PG_END_TRY();
    return opened;
}

}  // namespace

JobError error_in(const Message& message) {
    JobError error = {};
    const char* text = get_text(message, "message");
    error.sqlstate = sqlstate_of(message);
    copy_text(error.message, sizeof(error.message),
              text != nullptr ? text : "pg_ark reported an error");
    copy_text(error.detail, sizeof(error.detail), get_text(message, "detail"));
    copy_text(error.hint, sizeof(error.hint), get_text(message, "hint"));
    return error;
}

bool says_conflict(const Message& message) {
    if (const char* code = get_token(message, "code"))
        return strcmp(code, "conflict") == 0;
    // The state alone is also that of a refusal, which concerns this server only.
    const char* hint = get_text(message, "hint");
    return sqlstate_of(message) == ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE && hint != nullptr &&
           (strstr(hint, "Two servers, one timeline") != nullptr ||
            strstr(hint, "Two clusters with one system identifier") != nullptr);
}

TimestampTz deadline_in_ms(int64 ms) {
    return TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ms);
}

Message receive(Child* child, TimestampTz deadline) {
    for (;;) {
        if (char* line = child_next_line(child)) {
            const Message message = parse_message(line);
            pfree(line);
            if (message_is(message, "warning")) {
                report(WARNING, message);
                continue;
            }
            child->answered = true;
            child->refused = message_is(message, "error");
            child->found_conflict = child->refused && says_conflict(message);
            if (child->refused)
                report(ERROR, message);
            return message;
        }
        if (child->ended)
            report_gone(child);
        const TimestampTz end = child->limit != nullptr ? Min(deadline, child->limit()) : deadline;
        const long left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end);
        if (left <= 0)
            ereport(ERROR, (errcode(ERRCODE_IO_ERROR), errmsg("pg_ark did not answer in time"),
                            errdetail("Process %d is still running.", child->pid),
                            errhint("A repository that hangs does this: check its file system.")));
        child_wait(child, Min(left, kSliceMs));
    }
}

Message receive_verb(Child* child, const char* verb, TimestampTz deadline) {
    const Message message = receive(child, deadline);
    if (!message_is(message, verb))
        ereport(ERROR,
                (errcode(ERRCODE_PROTOCOL_VIOLATION),
                 errmsg("pg_ark sent \"%.40s\" where \"%s\" was expected", message.verb, verb),
                 errhint("Compare the versions: SELECT * FROM ark.preflight().")));
    return message;
}

char* check_hello(const Message& hello) {
    char* version = get_text(hello, "program");
    if (version == nullptr)
        version = pstrdup("unknown");
    if (get_number(hello, "protocol") != kProtocolVersion)
        ereport(ERROR,
                (errcode(ERRCODE_PROTOCOL_VIOLATION),
                 errmsg("the executable speaks version %d of the protocol, the module version %d",
                        static_cast<int>(get_number(hello, "protocol")), kProtocolVersion),
                 errdetail("The executable has version %s, the module version %s.", version,
                           PG_ARK_VERSION),
                 errhint("Install the same version of both, and restart the server.")));
    return version;
}

char* greet(Child* child, TimestampTz deadline) {
    StringInfoData out;
    initStringInfo(&out);
    put_hello(&out);
    child_send(child, out);
    return check_hello(receive_verb(child, "hello", deadline));
}

void check_opened(const Message& opened) {
    const char* token = get_token(opened, "repository_id");
    require_known_repository(token != nullptr ? token : "");
}

void send_opening(Child* child, const OpenOptions& options) {
    StringInfoData out;
    initStringInfo(&out);
    put_hello(&out);
    put_open(&out, options, false);
    child_send(child, out);
}

char* open_after_greeting(Child* child, const OpenOptions& options, TimestampTz deadline) {
    const bool known = known_repository_id() != nullptr;
    StringInfoData out;
    initStringInfo(&out);
    put_open(&out, options, options.create && !known);
    child->answered = false;
    child_send(child, out);
    const Message opened = options.create && known ? receive_known_opened(child, deadline)
                                                   : receive_verb(child, "opened", deadline);
    const char* token = get_token(opened, "repository_id");
    char* id = pstrdup(token != nullptr ? token : "");
    // Where the module refuses what the child has opened, the child is of no use any more.
    child->answered = false;
    if (options.create)
        remember_repository(id);
    else
        require_known_repository(id);
    child->answered = true;
    return id;
}

Opened open_repository(Child* child, const OpenOptions& options, TimestampTz deadline) {
    Opened opened;
    opened.program_version = greet(child, deadline);
    opened.repository_id = open_after_greeting(child, options, deadline);
    return opened;
}

}  // namespace ark
