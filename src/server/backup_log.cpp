#include "server/backup_log.hpp"

#include "server/audit_rows.hpp"
#include "server/settings.hpp"
#include "server/sql_call.hpp"

extern "C" {
#include "access/xlog.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

// NULL rather than an empty text, for parameters.
const char* or_null(const char* text) {
    return text == nullptr || text[0] == '\0' ? nullptr : text;
}

// A success is claimed only for what was checked: without data checksums nothing was.
void insert_verification(const char* backup_id, const BackupResult& result) {
    const bool corrupt = result.corrupt_pages > 0;
    const char* success = corrupt ? "false" : DataChecksumsEnabled() ? "true" : nullptr;
    sql("INSERT INTO ark.backup_verification (backup_id, verification_type, success, details) "
        "VALUES ($1, 'checksum', $2::pg_catalog.bool, pg_catalog.jsonb_strip_nulls("
        "pg_catalog.jsonb_build_object('data_checksums', $3::pg_catalog.bool, 'corrupt_pages', "
        "$4::pg_catalog.int8, 'pages', $5::pg_catalog.jsonb, 'note', $6)))",
        backup_id, success, DataChecksumsEnabled() ? "true" : "false",
        number_text(result.corrupt_pages), corrupt ? corrupt_pages_json(result.corrupt) : nullptr,
        DataChecksumsEnabled()
            ? nullptr
            : "The cluster has no data checksums: damaged pages cannot be recognised.");
}

}  // namespace

const char* cluster_name() {
    return settings.cluster[0] != '\0' ? settings.cluster
                                       : psprintf(UINT64_FORMAT, GetSystemIdentifier());
}

void insert_backup_row(const JobRequest& request, TimestampTz started_at) {
    sql("INSERT INTO ark.backup_log (backup_id, backup_type, reason, created_by, started_at, "
        "status, "
        "repository, cluster, pg_version, system_identifier, requested_by) VALUES ($1, $2, $3, "
        "$4::pg_catalog.uuid, $5::pg_catalog.timestamptz, 'in_progress', $6, $7, $8, "
        "$9::pg_catalog.int8, $10)",
        request.backup_id, request.backup_type, request.reason, or_null(request.created_by),
        timestamptz_to_str(started_at), settings.repositories, cluster_name(),
        GetConfigOption("server_version", false, false),
        psprintf(INT64_FORMAT, static_cast<int64>(GetSystemIdentifier())), request.role);
    insert_audit_accepted(request);
}

void complete_backup_row(const char* backup_id, const BackupResult& result) {
    const auto incremental = [&](uint64 number) {
        return result.parent != nullptr ? number_text(number) : nullptr;
    };
    const char* pages = result.corrupt_pages > 0 ? corrupt_pages_json(result.corrupt) : nullptr;
    const uint64 rows =
        sql("UPDATE ark.backup_log SET status = 'completed', error = NULL, "
            "completed_at = $2::pg_catalog.timestamptz, timeline = $3::pg_catalog.int8, "
            "start_lsn = $4::pg_catalog.pg_lsn, stop_lsn = $5::pg_catalog.pg_lsn, "
            "start_segment = $6, stop_segment = $7, files = $8::pg_catalog.int8, "
            "database_bytes = $9::pg_catalog.int8, stored_bytes = $10::pg_catalog.int8, "
            "corrupt_pages = $11::pg_catalog.jsonb, corrupt_page_count = $12::pg_catalog.int8, "
            "repository_id = $13, parent = $14, full_because = $15, "
            "changed_blocks = $16::pg_catalog.int8, audited_blocks = $17::pg_catalog.int8, "
            "audit_misses = $18::pg_catalog.int8 WHERE backup_id = $1",
            backup_id, unix_time_text(result.completed_at), number_text(result.timeline),
            lsn_text(result.start_lsn), lsn_text(result.stop_lsn), or_null(result.start_segment),
            or_null(result.stop_segment), number_text(result.files),
            number_text(result.database_bytes), number_text(result.stored_bytes), pages,
            number_text(result.corrupt_pages), or_null(result.repository_id), result.parent,
            result.full_because, incremental(result.changed_blocks),
            incremental(result.audited_blocks), incremental(result.audit_misses));
    // Somebody deleted the row: the sweep inserts it again from the repository.
    insert_audit_end(backup_id, "completed", 0, nullptr);
    // Of one that was made of another no page was looked at.
    if (rows > 0 && (!result.is_compacted || result.corrupt_pages > 0))
        insert_verification(backup_id, result);
    else if (rows == 0)
        request_sweep();
}

bool adopt_marker(const char* backup_id, const char* json, const char* repository_id) {
    const bool changed =
        sql("INSERT INTO ark.backup_log AS log (backup_id, backup_type, reason, created_by, "
            "started_at, completed_at, status, parent, timeline, start_lsn, stop_lsn, "
            "start_segment, stop_segment, files, database_bytes, stored_bytes, repository, "
            "repository_id, cluster, pg_version, system_identifier, requested_by, "
            "corrupt_page_count, full_because, changed_blocks, audited_blocks, audit_misses) "
            "SELECT $1, backup_type, reason, created_by, started_at, completed_at, 'completed', "
            "parent, timeline, start_lsn, stop_lsn, start_segment, stop_segment, files, "
            "database_bytes, stored_bytes, $3, $4, $5, pg_version, system_identifier, "
            "requested_by, "
            "corrupt_page_count, full_because, changed_blocks, audited_blocks, audit_misses "
            "FROM ark.marker_fields($2::pg_catalog.jsonb) "
            "ON CONFLICT (backup_id) DO UPDATE SET status = 'completed', error = NULL, "
            "completed_at = excluded.completed_at, parent = excluded.parent, "
            "timeline = excluded.timeline, start_lsn = excluded.start_lsn, "
            "stop_lsn = excluded.stop_lsn, start_segment = excluded.start_segment, "
            "stop_segment = excluded.stop_segment, files = excluded.files, "
            "database_bytes = excluded.database_bytes, stored_bytes = excluded.stored_bytes, "
            "repository = excluded.repository, repository_id = excluded.repository_id, "
            "cluster = excluded.cluster, "
            "corrupt_page_count = excluded.corrupt_page_count, "
            "full_because = excluded.full_because, changed_blocks = excluded.changed_blocks, "
            "audited_blocks = excluded.audited_blocks, audit_misses = excluded.audit_misses "
            "WHERE log.status <> 'completed'",
            backup_id, json, settings.repositories, or_null(repository_id), cluster_name()) > 0;
    if (changed)
        insert_audit_end(backup_id, "completed", 0, nullptr);
    return changed;
}

bool complete_outline(const char* backup_id, const char* json) {
    return sql("UPDATE ark.backup_log AS log SET backup_type = marker.backup_type, "
               "reason = marker.reason, created_by = marker.created_by, "
               "started_at = marker.started_at, completed_at = marker.completed_at, "
               "parent = marker.parent, timeline = marker.timeline, "
               "start_lsn = marker.start_lsn, stop_lsn = marker.stop_lsn, "
               "start_segment = marker.start_segment, stop_segment = marker.stop_segment, "
               "files = marker.files, database_bytes = marker.database_bytes, "
               "stored_bytes = marker.stored_bytes, pg_version = marker.pg_version, "
               "system_identifier = marker.system_identifier, "
               "requested_by = marker.requested_by, "
               "corrupt_page_count = marker.corrupt_page_count, "
               "full_because = marker.full_because, changed_blocks = marker.changed_blocks, "
               "audited_blocks = marker.audited_blocks, audit_misses = marker.audit_misses "
               "FROM ark.marker_fields($2::pg_catalog.jsonb) AS marker "
               "WHERE log.backup_id = $1 AND log.status = 'completed' AND log.files IS NULL "
               "AND marker.files IS NOT NULL",
               backup_id, json) > 0;
}

void fail_backup_row(const char* backup_id, const BackupFailure& failure) {
    const uint64 rows =
        sql("UPDATE ark.backup_log SET status = $2, completed_at = pg_catalog.clock_timestamp(), "
            "error = pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('sqlstate', $3, "
            "'message', $4, 'detail', $5, 'hint', $6, 'phase', $7, 'leftovers', "
            "$8::pg_catalog.bool)) WHERE backup_id = $1 AND status = 'in_progress'",
            backup_id, failure.status, unpack_sql_state(failure.sqlstate), failure.message,
            or_null(failure.detail), or_null(failure.hint), or_null(failure.phase),
            failure.leftovers ? "true" : nullptr);
    if (rows > 0)
        insert_audit_end(backup_id, failure.status, failure.sqlstate, failure.message);
}

}  // namespace ark
