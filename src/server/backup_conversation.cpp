// docs/child-protocol.md, "server-backup", from the module's side. No transaction is open while
// bytes move.
#include "server/backup_conversation.hpp"

#include "server/answers.hpp"
#include "server/backup_sql.hpp"
#include "server/census.hpp"
#include "server/change_status.hpp"
#include "server/control_file.hpp"
#include "server/conversation.hpp"
#include "server/settings.hpp"
#include "server/track_wait.hpp"
#include "server/worker.hpp"

extern "C" {
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

// A local directory answers at once; a far store may have to be probed first.
constexpr int64 kOpenTimeoutMs = INT64CONST(5) * 60 * 1000;
// While it copies the child tells its progress several times a second; a silence of this length is
// a hang.
constexpr int64 kSilenceMs = INT64CONST(30) * 60 * 1000;
// The child's own deadline comes first: it knows what it waited for.
constexpr int64 kWalTimeoutMarginMs = INT64CONST(60) * 1000;

void set_phase(BackupJob* job, const char* phase) {
    strlcpy(job->progress.phase, phase, sizeof(job->progress.phase));
    job_set_progress(job->ref, job->progress);
}

StringInfoData new_message(const char* verb) {
    StringInfoData out;
    initStringInfo(&out);
    message_begin(&out, verb);
    return out;
}

void send(BackupJob* job, StringInfoData* out) {
    message_end(out);
    child_send(job->child, *out);
}

void send_config(BackupJob* job, const char* kind, const char* path) {
    StringInfoData out = new_message("config");
    message_token(&out, "kind", kind);
    message_text(&out, "path", path);
    send(job, &out);
}

// Microseconds since 1970.
uint64 to_unix_time(TimestampTz time) {
    constexpr int64 kEpochs =
        static_cast<int64>(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY * USECS_PER_SEC;
    return static_cast<uint64>(time + kEpochs);
}

// What users call a backup says who asked, or what was asked for.
const char* type_of(const JobRequest& request) {
    const bool builds_on_another = strcmp(request.backup_type, "incremental") == 0 ||
                                   strcmp(request.backup_type, "differential") == 0;
    return builds_on_another ? request.backup_type : "full";
}

uint64 audit_millionths(const JobRequest& request) {
    const double fraction =
        request.audit_fraction >= 0 ? request.audit_fraction : settings.audit_fraction;
    return static_cast<uint64>(fraction * 1000000);
}

void prepare(BackupJob* job) {
    const ServerFacts facts = read_server_facts(*job->request);
    StringInfoData out = new_message("backup");
    message_token(&out, "id", job->request->backup_id);
    message_token(&out, "type", type_of(*job->request));
    message_token(&out, "backup_type", job->request->backup_type);
    message_text(&out, "reason", facts.reason);
    if (job->request->created_by[0] != '\0')
        message_token(&out, "created_by", job->request->created_by);
    message_text(&out, "role", facts.role);
    message_text(&out, "superuser", facts.superuser);
    message_number(&out, "started_at", to_unix_time(job->started_at));
    message_number(&out, "audit_millionths", audit_millionths(*job->request));
    send(job, &out);

    ListCell* cell;
    foreach (cell, facts.distrusted) {
        StringInfoData distrusted = new_message("distrusted");
        message_token(&distrusted, "id", static_cast<const char*>(lfirst(cell)));
        send(job, &distrusted);
    }
    send_config(job, "config_file", facts.config_file);
    send_config(job, "hba_file", facts.hba_file);
    send_config(job, "ident_file", facts.ident_file);
    foreach (cell, facts.includes)
        send_config(job, "include", static_cast<const char*>(lfirst(cell)));

    StringInfoData last = new_message("prepare");
    send(job, &last);
    (void)receive_verb(job->child, "ready", deadline_in_ms(kOpenTimeoutMs));
    job->ready = true;
}

XLogRecPtr begin_of_segment(XLogRecPtr lsn) {
    return lsn - XLogSegmentOffset(lsn, wal_segment_size);
}

void start(BackupJob* job) {
    set_phase(job, "checkpoint");
    // Its checkpoint removes WAL; what changed up to where it begins is in pg_wal now.
    backup_wait_for_tables(begin_of_segment(GetFlushRecPtr(nullptr)));
    const BackupStart started = backup_start(job->request->backup_id);
    job->result.start_lsn = started.lsn;
    backup_wait_for_tables(begin_of_segment(started.lsn));
    fault_point("module_started");
    send_census(job->child);
    StringInfoData out = new_message("start");
    message_lsn(&out, "lsn", started.lsn);
    message_number(&out, "timeline", started.timeline);
    message_number(&out, "full_page_writes", started.full_page_writes ? 1 : 0);
    send(job, &out);
}

void stop(BackupJob* job) {
    set_phase(job, "stopping");
    const BackupStop stopped = backup_stop();
    job->result.timeline = stopped.timeline;
    job->result.stop_lsn = stopped.lsn;
    const uint64 stopped_at = to_unix_time(GetCurrentTimestamp());
    fault_point("module_stopped");
    send_census(job->child);
    StringInfoData out = new_message("stop");
    message_lsn(&out, "lsn", stopped.lsn);
    message_number(&out, "timeline", stopped.timeline);
    message_number(&out, "stopped_at", stopped_at);
    message_text(&out, "label", stopped.label);
    message_text(&out, "tablespace_map", stopped.tablespace_map);
    message_text(&out, "snapshot", stopped.snapshot);
    message_lsn(&out, "flush_lsn", stopped.flush_lsn);
    send(job, &out);
}

void send_control(BackupJob* job) {
    StringInfoData out = new_message("control");
    message_bytes(&out, "data", read_control_file(), PG_CONTROL_FILE_SIZE);
    send(job, &out);
}

void update(uint64* value, const Message& message, const char* key) {
    if (has_key(message, key))
        *value = get_number(message, key);
}

void take_progress(BackupJob* job, const Message& message) {
    JobProgress* progress = &job->progress;
    if (const char* phase = get_token(message, "phase"))
        strlcpy(progress->phase, phase, sizeof(progress->phase));
    const char* segment = get_token(message, "segment");
    strlcpy(progress->segment, segment != nullptr ? segment : "", sizeof(progress->segment));
    update(&progress->files, message, "files");
    update(&progress->files_total, message, "files_total");
    update(&progress->bytes, message, "bytes");
    update(&progress->bytes_total, message, "bytes_total");
    update(&progress->stored, message, "stored");
    if (progress->copy_started_at == 0 && strcmp(progress->phase, "copying") == 0)
        progress->copy_started_at = GetCurrentTimestamp();
    job_set_progress(job->ref, *progress);
}

void take_corrupt_page(BackupJob* job, const Message& message) {
    MemoryContext old = MemoryContextSwitchTo(job->context);
    job->result.corrupt = lappend(job->result.corrupt, read_corrupt_page(message));
    MemoryContextSwitchTo(old);
    job->progress.corrupt_pages++;
}

// The first are told one by one, all are counted at the end.
void take_audit_miss(const BackupJob& job, const Message& message) {
    ereport(
        WARNING,
        (errcode(ERRCODE_DATA_CORRUPTED),
         errmsg("backup \"%s\": block " UINT64_FORMAT
                " of \"%s\" had changed, though no WAL says so",
                job.request->backup_id, get_number(message, "block"), get_text(message, "path")),
         errdetail("The page's LSN is %s. The file was copied whole.", get_token(message, "lsn")),
         errhint("The tracking of changes has missed it, or the page was not written by the "
                 "server: report it, and take a full backup.")));
}

const char* keep_text(const BackupJob& job, const char* text) {
    return text != nullptr && text[0] != '\0' ? MemoryContextStrdup(job.context, text) : nullptr;
}

void take_range(BackupJob* job, const Message& message) {
    job->result.start_lsn = get_lsn(message, "start_lsn");
    job->result.stop_lsn = get_lsn(message, "stop_lsn");
    job->result.timeline = static_cast<uint32>(get_number(message, "timeline"));
}

void take_done(BackupJob* job, const Message& message) {
    BackupResult* result = &job->result;
    const char* start_segment = get_token(message, "start_segment");
    const char* stop_segment = get_token(message, "stop_segment");
    result->files = get_number(message, "files");
    result->database_bytes = get_number(message, "database_bytes");
    result->stored_bytes = get_number(message, "stored_bytes");
    result->corrupt_pages = get_number(message, "corrupt_pages");
    result->completed_at = get_number(message, "completed_at");
    if (has_key(message, "timeline"))
        take_range(job, message);
    result->parent = keep_text(*job, get_token(message, "parent"));
    result->full_because = keep_text(*job, get_text(message, "full_because"));
    update(&result->changed_blocks, message, "changed_blocks");
    update(&result->audited_blocks, message, "audited_blocks");
    update(&result->audit_misses, message, "audit_misses");
    if (result->audit_misses > 0)
        note_audit_misses(result->audit_misses);
    if (const char* requests = get_text(message, "requests"))
        result->requests = MemoryContextStrdup(job->context, requests);
    if (start_segment != nullptr)
        result->start_segment = MemoryContextStrdup(job->context, start_segment);
    if (stop_segment != nullptr)
        result->stop_segment = MemoryContextStrdup(job->context, stop_segment);
}

// Answers the child until it says `last`. `timeout_ms` is for the next message, or with `in_all`
// for all of them.
void converse_until(BackupJob* job, const char* last, int64 timeout_ms, bool in_all,
                    Answers* answers = nullptr) {
    const TimestampTz end = deadline_in_ms(timeout_ms);
    for (;;) {
        MemoryContextReset(job->message_context);
        MemoryContextSwitchTo(job->message_context);
        const Message message = receive(job->child, in_all ? end : deadline_in_ms(timeout_ms));
        take_answers(answers);
        if (message_is(message, "progress"))
            take_progress(job, message);
        else if (message_is(message, "corrupt"))
            take_corrupt_page(job, message);
        else if (message_is(message, "audit_miss"))
            take_audit_miss(*job, message);
        else if (message_is(message, "need_control"))
            send_control(job);
        else if (!message_is(message, last))
            ereport(ERROR, (errcode(ERRCODE_PROTOCOL_VIOLATION),
                            errmsg("pg_ark sent \"%.40s\" where \"%s\" was expected", message.verb,
                                   last)));
        else if (strcmp(last, "done") == 0)
            return take_done(job, message);
        else
            return;
    }
}

// The bytes are in the repository already: nothing is asked of the server.
void converse_about_compaction(BackupJob* job) {
    const ServerFacts facts = read_server_facts(*job->request);
    StringInfoData out = new_message("compact");
    message_token(&out, "id", job->request->backup_id);
    message_token(&out, "source", job->request->compacts);
    message_text(&out, "reason", facts.reason);
    if (job->request->created_by[0] != '\0')
        message_token(&out, "created_by", job->request->created_by);
    message_text(&out, "role", facts.role);
    send(job, &out);
    job->ready = true;
    fault_point("module_ready");
    converse_until(job, "done", kSilenceMs, false);
    MemoryContextSwitchTo(job->context);
    fault_point("module_done");
}

// The databases are asked while the files are copied: before the stop, so that all they see has
// ended by then.
void copy_and_ask(BackupJob* job) {
    Answers* answers = begin_answers();
    PG_TRY();
    {
        converse_until(job, "copied", kSilenceMs, false, answers);
        fault_point("module_copied");
        finish_answers(answers, job->child);
    }
    PG_CATCH();
    {
        abandon_answers(answers);
        PG_RE_THROW();
    }
    PG_END_TRY();
}

}  // namespace

void converse_about_backup(BackupJob* job) {
    const bool compacts = job->request->compacts[0] != '\0';
    const OpenOptions options = {true, job->request->jobs, job->request->compression_level};
    set_phase(job, "opening");
    job->child = child_start(program_path(), compacts ? "server-compact" : "server-backup",
                             ChildWait::kLatch);
    const Opened opened = open_repository(job->child, options, deadline_in_ms(kOpenTimeoutMs));
    job->result.repository_id = opened.repository_id;
    job->result.is_compacted = compacts;
    if (compacts)
        return converse_about_compaction(job);
    set_phase(job, "preparing");
    prepare(job);
    fault_point("module_ready");
    start(job);
    copy_and_ask(job);
    stop(job);
    converse_until(job, "done", settings.wal_timeout_s * INT64CONST(1000) + kWalTimeoutMarginMs,
                   true);
    MemoryContextSwitchTo(job->context);
    fault_point("module_done");
}

}  // namespace ark
