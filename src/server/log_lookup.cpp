#include "server/log_lookup.hpp"

#include "server/sql_call.hpp"

namespace ark {
namespace {

char* copy(MemoryContext context, int column) {
    const char* value = result(0, column);
    return value != nullptr ? MemoryContextStrdup(context, value) : nullptr;
}

}  // namespace

LoggedBackup look_up_backup(const char* backup_id) {
    MemoryContext context = CurrentMemoryContext;
    const Lookup lookup = begin_lookup();
    const uint64 rows =
        sql("SELECT status, error OPERATOR(pg_catalog.->>) 'sqlstate', "
            "error OPERATOR(pg_catalog.->>) 'message', error OPERATOR(pg_catalog.->>) 'detail', "
            "error OPERATOR(pg_catalog.->>) 'hint', parent FROM ark.backup_log "
            "WHERE backup_id OPERATOR(pg_catalog.=) $1",
            backup_id);
    const LoggedBackup found = {copy(context, 1), copy(context, 2), copy(context, 3),
                                copy(context, 4), copy(context, 5), copy(context, 6)};
    end_lookup(lookup);
    if (rows == 0)
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
                        errmsg("backup \"%s\" does not exist", backup_id),
                        errhint("The backups are in ark.backup_log.")));
    return found;
}

bool test_is_known(const char* test_id) {
    const Lookup lookup = begin_lookup();
    const uint64 rows =
        sql("SELECT 1 FROM ark.backup_tests WHERE id OPERATOR(pg_catalog.=) $1::pg_catalog.uuid "
            "UNION ALL SELECT 1 FROM ark.backup_verification "
            "WHERE id OPERATOR(pg_catalog.=) $1::pg_catalog.uuid",
            test_id);
    end_lookup(lookup);
    return rows > 0;
}

void require_backup_id(const char* backup_id) {
    if (backup_id == nullptr)
        ereport(ERROR,
                (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("p_backup_id must not be null"),
                 errhint("The backups are in ark.backup_log.")));
}

}  // namespace ark
