#include "server/backup_sql.hpp"

#include "server/sql_call.hpp"
#include "server/worker.hpp"

extern "C" {
#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/guc.h"
}

namespace ark {
namespace {

// The repository's text is UTF-8 whatever the database's is. SQL_ASCII means that nobody knows: as
// it is.
const char* to_utf8(MemoryContext context, const char* text) {
    const int encoding = GetDatabaseEncoding();
    if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII)
        return MemoryContextStrdup(context, text);
    return MemoryContextStrdup(context,
                               pg_server_to_any(text, static_cast<int>(strlen(text)), PG_UTF8));
}

List* add_rows(MemoryContext context, List* list, const char* query) {
    const uint64 rows = sql(query);
    MemoryContext old = MemoryContextSwitchTo(context);
    for (uint64 i = 0; i < rows; i++) {
        if (const char* path = result(i, 1))
            list = lappend(list, MemoryContextStrdup(context, path));
    }
    MemoryContextSwitchTo(old);
    return list;
}

XLogRecPtr parse_lsn(const char* text) {
    uint32 high = 0;
    uint32 low = 0;
    if (text == nullptr || sscanf(text, "%X/%X", &high, &low) != 2)
        ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("the server gave no LSN")));
    return static_cast<uint64>(high) << 32 | low;
}

const char* keep(MemoryContext context, const char* text) {
    return MemoryContextStrdup(context, text != nullptr ? text : "");
}

const char* setting(MemoryContext context, const char* name) {
    return keep(context, GetConfigOption(name, true, false));
}

// Backups of which the last verification or audit, or a restore test, found something that lies in
// the repository; not those whose source was damaged, nor those that are whole and have a gap in
// the WAL behind them, which what plans an incremental backup looks at by itself.
constexpr char kDistrusted[] =
    "SELECT log.backup_id FROM ark.backup_log log WHERE log.status = 'completed' AND (EXISTS ("
    "SELECT FROM (SELECT DISTINCT ON (verification_type) success OR v.details @> "
    "'{\"backup_is_whole\": true}' AS success FROM ark.backup_verification v "
    "WHERE v.backup_id = log.backup_id AND v.success IS NOT NULL "
    "AND v.verification_type <> 'restore_test' "
    "AND NOT v.details ? 'data_checksums' ORDER BY verification_type, verification_date DESC) "
    "last WHERE NOT last.success) OR EXISTS (SELECT FROM ark.backup_tests t "
    "WHERE t.backup_id = log.backup_id AND NOT t.success AND t.errors "
    "@? '$[*] ? (@.check == \"marker\" || @.check == \"restore\" || @.check == \"pack\" || "
    "@.check == \"files\")')) ORDER BY log.started_at DESC LIMIT 1000";

}  // namespace

ServerFacts read_server_facts(const JobRequest& request) {
    MemoryContext context = CurrentMemoryContext;
    ServerFacts facts = {};
    begin_sql("pg_ark: reading the configuration");
    facts.reason = to_utf8(context, request.reason);
    facts.role = to_utf8(context, request.role);
    facts.superuser = to_utf8(context, GetUserNameFromId(BOOTSTRAP_SUPERUSERID, false));
    facts.config_file = setting(context, "config_file");
    facts.hba_file = setting(context, "hba_file");
    facts.ident_file = setting(context, "ident_file");
    // postgresql.auto.conf is in the data directory always.
    facts.includes =
        add_rows(context, NIL,
                 "SELECT DISTINCT sourcefile FROM pg_catalog.pg_file_settings WHERE sourcefile <> "
                 "pg_catalog.current_setting('config_file') AND sourcefile !~ "
                 "'/postgresql\\.auto\\.conf$' ORDER BY sourcefile");
    if (const char* query = hba_includes_query())
        facts.includes = add_rows(context, facts.includes, query);
    facts.distrusted = add_rows(context, NIL, kDistrusted);
    commit_sql();
    return facts;
}

BackupStart backup_start(const char* label) {
    begin_sql("pg_ark: pg_backup_start");
    sql("SELECT pg_catalog.pg_backup_start($1, true)", label);
    BackupStart started = {};
    started.lsn = parse_lsn(result(0, 1));
    commit_sql();
    started.timeline = GetWALInsertionTimeLine();
    started.full_page_writes = fullPageWrites;
    return started;
}

BackupStop backup_stop() {
    MemoryContext context = CurrentMemoryContext;
    BackupStop stopped = {};
    begin_sql("pg_ark: pg_backup_stop");
    sql("SELECT lsn, labelfile, spcmapfile FROM pg_catalog.pg_backup_stop(false)");
    stopped.lsn = parse_lsn(result(0, 1));
    stopped.label = keep(context, result(0, 2));
    stopped.tablespace_map = keep(context, result(0, 3));
    // A statement of its own: its snapshot is taken after the stop.
    sql("SELECT pg_catalog.pg_current_snapshot(), pg_catalog.pg_current_wal_flush_lsn()");
    stopped.snapshot = keep(context, result(0, 1));
    stopped.flush_lsn = parse_lsn(result(0, 2));
    commit_sql();
    stopped.timeline = GetWALInsertionTimeLine();
    return stopped;
}

}  // namespace ark
