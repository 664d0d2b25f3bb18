#pragma once
/// Calls of functions that do something, as ark.audit_log sees them.
#include "server/shared.hpp"

namespace ark {

/// Who this process acts for, now. `lookup`: the acting role's name may be looked up in the
/// catalogs (not while an error is handled).
void fill_actor(AuditActor* actor, bool lookup);

/// Runs the body of an act's function: an error of it before audit_accepted was called is recorded
/// as a refusal with its SQLSTATE, in a way that no rollback undoes.
Datum audited(FunctionCallInfo fcinfo, const char* act, PGFunction body);

/// Within audited(): the act is done, or will be. Later errors of the call are no refusals. Whoever
/// starts a job calls it when the job's row, and with it that in ark.audit_log, is committed.
void audit_started();
/// The same for an act without a job, whose entry it writes. Before the act: an entry too many is
/// better than one that a crash prevented.
void audit_accepted(const char* target, const char* message);

/// What audited() was called for; "" outside of it.
const char* audited_act();

}  // namespace ark

/// Opens the definition of a function that SQL calls, and that is recorded.
#define ARK_AUDITED_FUNCTION(name, act)                \
    static Datum name##_body(FunctionCallInfo);        \
    ARK_SQL_FUNCTION(name) {                           \
        return ark::audited(fcinfo, act, name##_body); \
    }                                                  \
    static Datum name##_body([[maybe_unused]] FunctionCallInfo fcinfo)
