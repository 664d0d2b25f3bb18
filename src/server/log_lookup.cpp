#include "server/log_lookup.hpp"

#include "server/sql_call.hpp"

extern "C" {
#include "catalog/pg_authid.h"
#include "executor/spi.h"
#include "miscadmin.h"
}

namespace ark {
namespace {

char* copy(MemoryContext context, int column) {
    const char* value = result(0, column);
    return value != nullptr ? MemoryContextStrdup(context, value) : nullptr;
}

}  // namespace

// The statement is fixed and names every object and operator with its schema: the caller's
// search_path decides nothing, and an error restores the user with the transaction.
LoggedBackup look_up_backup(const char* backup_id) {
    MemoryContext context = CurrentMemoryContext;
    Oid user = InvalidOid;
    int security = 0;
    GetUserIdAndSecContext(&user, &security);
    SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, security | SECURITY_LOCAL_USERID_CHANGE);
    SPI_connect();
    const uint64 rows =
        sql("SELECT status, error OPERATOR(pg_catalog.->>) 'sqlstate', "
            "error OPERATOR(pg_catalog.->>) 'message', error OPERATOR(pg_catalog.->>) 'detail', "
            "error OPERATOR(pg_catalog.->>) 'hint' FROM ark.backup_log "
            "WHERE backup_id OPERATOR(pg_catalog.=) $1",
            backup_id);
    const LoggedBackup found = {copy(context, 1), copy(context, 2), copy(context, 3),
                                copy(context, 4), copy(context, 5)};
    SPI_finish();
    SetUserIdAndSecContext(user, security);
    if (rows == 0)
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
                        errmsg("backup \"%s\" does not exist", backup_id),
                        errhint("The backups are in ark.backup_log.")));
    return found;
}

void require_backup_id(const char* backup_id) {
    if (backup_id == nullptr)
        ereport(ERROR,
                (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("p_backup_id must not be null"),
                 errhint("The backups are in ark.backup_log.")));
}

}  // namespace ark
