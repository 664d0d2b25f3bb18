// The guard of ark.audit_log, and how the log fares.
#include "server/audit_call.hpp"
#include "server/audit_spool.hpp"
#include "server/preconditions.hpp"
#include "server/sql_call.hpp"
#include "server/sql_rows.hpp"

extern "C" {
#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
}

namespace ark {
namespace {

// NULL where somebody has the table locked: whoever asks how the log fares wants no queue for it.
void add_unmirrored(RowBuilder* row) {
    const Oid table = get_relname_relid("audit_log", get_namespace_oid("ark", true));
    if (!OidIsValid(table) || !ConditionalLockRelationOid(table, AccessShareLock))
        return add_null(row);
    const Lookup lookup = begin_lookup();
    sql("SELECT pg_catalog.count(*) FROM ark.audit_log WHERE mirrored_at IS NULL");
    add_number(row, strtou64(result(0, 1), nullptr, 10));
    end_lookup(lookup);
}

}  // namespace
}  // namespace ark

/// Before every statement that writes ark.audit_log: superusers only, whoever owns the table by
/// now. pg_ark's own workers are.
ARK_SQL_FUNCTION(pg_ark_audit_guard) {
    if (!CALLED_AS_TRIGGER(fcinfo))
        elog(ERROR, "ark.audit_guard is a trigger's function");
    if (superuser())
        return static_cast<Datum>(0);
    ark::AuditActor actor;
    ark::fill_actor(&actor, true);
    const char* message = "ark.audit_log can be written by superusers alone";
    const ark::AuditEntry entry = {"access", "refused", "audit_log",
                                   nullptr,  &actor,    ERRCODE_INSUFFICIENT_PRIVILEGE,
                                   message,  InvalidOid};
    ark::spool_audit(entry);
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg_internal("%s", message),
                    errdetail("It is append-only; its owner is no exception.")));
    pg_unreachable();
}

/// ark.audit_state() RETURNS TABLE (...)
ARK_SQL_FUNCTION(pg_ark_audit_state) {
    ark::require_loaded_here();
    InitMaterializedSRF(fcinfo, 0);
    LWLockAcquire(ark::shared->audit_lock, LW_SHARED);
    const ark::AuditStatus status = ark::shared->audit;
    LWLockRelease(ark::shared->audit_lock);
    ark::RowBuilder row = {};
    ark::add_number(&row, ark::spooled_bytes());
    ark::add_number(&row, status.lost);
    ark::add_time(&row, status.last_written_at);
    ark::add_number(&row, static_cast<uint64>(status.failures));
    ark::add_text(&row,
                  status.error.sqlstate != 0 ? unpack_sql_state(status.error.sqlstate) : nullptr);
    ark::add_text(&row, status.error.message);
    ark::add_time(&row, status.last_mirrored_at);
    ark::add_number(&row, static_cast<uint64>(status.mirror_failures));
    const ark::JobError& mirror = status.mirror_error;
    ark::add_text(&row, mirror.sqlstate != 0 ? unpack_sql_state(mirror.sqlstate) : nullptr);
    ark::add_text(&row, mirror.message);
    ark::add_unmirrored(&row);
    ark::emit(fcinfo, row);
    return Datum(0);
}
