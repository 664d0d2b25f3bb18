#include "server/wait_notice.hpp"

extern "C" {
#include "nodes/parsenodes.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

constexpr int kNoticeMs = 5 * 1000;
constexpr int kRepeatMs = 60 * 1000;

bool call_is_atomic(FunctionCallInfo fcinfo) {
    return fcinfo->context == nullptr || !IsA(fcinfo->context, CallContext) ||
           castNode(CallContext, fcinfo->context)->atomic;
}

char* describe_test(const JobProgress& p) {
    if (p.total == 0)
        return p.doing[0] != '\0' ? psprintf("%s, %s", p.phase, p.doing) : pstrdup(p.phase);
    return psprintf(
        "%s, %.0f %%%s%s", p.phase,
        100.0 * static_cast<double>(Min(p.done, p.total)) / static_cast<double>(p.total),
        p.doing[0] != '\0' ? ", " : "", p.doing);
}

}  // namespace

void tell(const char* what, const char* id, char* text, Told* told) {
    const TimestampTz now = GetCurrentTimestamp();
    const bool same = told->text != nullptr && strcmp(text, told->text) == 0;
    if (!TimestampDifferenceExceeds(told->at, now, same ? kRepeatMs : kNoticeMs)) {
        pfree(text);
        return;
    }
    ereport(NOTICE, (errmsg("%s %s: %s", what, id, text)));
    if (told->text != nullptr)
        pfree(told->text);
    *told = {now, text};
}

void tell_test_progress(JobKind kind, const char* test_id, const JobProgress& progress,
                        Told* told) {
    tell(kind == JobKind::kIntegrity ? "integrity checks" : "restore test", test_id,
         describe_test(progress), told);
}

void require_own_transactions(FunctionCallInfo fcinfo, const char* procedure, const char* what,
                              const char* instead, const char* table) {
    if (call_is_atomic(fcinfo))
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
                 errmsg("%s cannot wait inside a transaction block", procedure),
                 errdetail("It would hold back VACUUM until the %s has ended.", what),
                 errhint("Call it outside of BEGIN ... COMMIT and of functions, or start the %s "
                         "with %s and look into %s.",
                         what, instead, table)));
}

}  // namespace ark
