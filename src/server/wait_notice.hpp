#pragma once
/// What the calls that wait have in common: procedures that commit meanwhile, and NOTICEs of the
/// progress.
#include "server/shared.hpp"

namespace ark {

/// What the caller was told last: something new after five seconds, the same again after a minute.
struct Told {
    TimestampTz at;
    char* text;
};

/// A NOTICE "<what> <id>: <text>", where one is due. Takes `text`, palloc'd as told->text, over.
void tell(const char* what, const char* id, char* text, Told* told);
/// The same for a test.
void tell_test_progress(JobKind kind, const char* test_id, const JobProgress& progress, Told* told);

/// Throws where a procedure cannot commit; `what` is what would be waited for, `instead` the
/// function that starts one, `table` where its end is seen.
void require_own_transactions(FunctionCallInfo fcinfo, const char* procedure, const char* what,
                              const char* instead, const char* table);

}  // namespace ark
