#include "server/audit_call.hpp"

#include "server/audit_spool.hpp"
#include "server/settings.hpp"

extern "C" {
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
}

namespace ark {
namespace {

/// The innermost call that is recorded.
struct Call {
    const char* act;
    volatile bool* accepted;
    const AuditActor* actor;
};
Call current = {};

void fill_client(AuditActor* actor) {
    if (MyProcPort == nullptr)
        return;
    LOCAL_FCINFO(call, 0);
    InitFunctionCallInfoData(*call, nullptr, 0, InvalidOid, nullptr, nullptr);
    const Datum address = inet_client_addr(call);
    const char* text =
        call->isnull ? "[local]" : DatumGetCString(DirectFunctionCall1(inet_out, address));
    copy_text(actor->client, sizeof(actor->client), text);
}

// Whether what is called here is for ark.audit_log.
bool is_recorded_here() {
    if (shared == nullptr)
        return false;
    const char* here = get_database_name(MyDatabaseId);
    return here != nullptr && strcmp(here, settings.database) == 0;
}

// Inside PG_CATCH.
void record_refusal(const char* act, const AuditActor& actor, MemoryContext context) {
    MemoryContext old = MemoryContextSwitchTo(context);
    ErrorData* error = CopyErrorData();
    const AuditEntry entry = {act,    "refused",         nullptr,        nullptr,
                              &actor, error->sqlerrcode, error->message, InvalidOid};
    spool_audit(entry);
    FreeErrorData(error);
    MemoryContextSwitchTo(old);
}

// Locals that are not written between sigsetjmp and longjmp keep their values.
Datum run_recorded(FunctionCallInfo fcinfo, PGFunction body, const Call& call) {
    MemoryContext context = CurrentMemoryContext;
    const Call outer = current;
    volatile Datum result = 0;
    current = call;
    PG_TRY();
    { result = body(fcinfo); }
    PG_CATCH();
    {
        current = outer;
        if (!*call.accepted)
            record_refusal(call.act, *call.actor, context);
        PG_RE_THROW();
    }
    PG_END_TRY();
    current = outer;
    return result;
}

}  // namespace

void fill_actor(AuditActor* actor, bool lookup) {
    *actor = {};
    copy_text(actor->session_role, sizeof(actor->session_role),
              GetConfigOption("session_authorization", true, false));
    if (lookup)
        copy_text(actor->acting_role, sizeof(actor->acting_role),
                  GetUserNameFromId(GetUserId(), true));
    fill_client(actor);
    copy_text(actor->application, sizeof(actor->application), application_name);
    // What a worker calls itself says more: pg_cron's, for example.
    copy_text(
        actor->backend, sizeof(actor->backend),
        MyBgworkerEntry != nullptr ? MyBgworkerEntry->bgw_type : GetBackendTypeDesc(MyBackendType));
    actor->pid = MyProcPid;
}

Datum audited(FunctionCallInfo fcinfo, const char* act, PGFunction body) {
    if (!is_recorded_here())
        return body(fcinfo);
    volatile bool accepted = false;
    AuditActor actor;
    fill_actor(&actor, true);
    const Call call = {act, &accepted, &actor};
    return run_recorded(fcinfo, body, call);
}

void audit_started() {
    if (current.accepted != nullptr)
        *current.accepted = true;
}

void audit_accepted(const char* target, const char* message) {
    if (current.accepted == nullptr)
        return;
    const AuditEntry entry = {current.act,   "accepted", target,  nullptr,
                              current.actor, 0,          message, InvalidOid};
    spool_audit(entry);
    audit_started();
}

const char* audited_act() {
    return current.act != nullptr ? current.act : "";
}

}  // namespace ark
