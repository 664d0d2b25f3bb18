#pragma once
#include "server/pg_version.hpp"

namespace ark {

/// One row of ark.preflight(); strings palloc'd or static, detail and hint may be NULL.
struct Check {
    const char* name;
    bool ok;
    const char* detail;
    const char* hint;
};

/// Takes one row.
struct CheckSink {
    FunctionCallInfo fcinfo;
};
void put_check(CheckSink* sink, const Check& check);

/// Each puts one or more rows; an error in one becomes a row of its own and leaves the others.
void check_repository(CheckSink* sink);
void check_archiving(CheckSink* sink);
void check_wal_streaming(CheckSink* sink);
void check_change_tracking(CheckSink* sink);
void check_pages(CheckSink* sink);
void check_workers(CheckSink* sink);
void check_timeouts(CheckSink* sink);
void check_last_backup(CheckSink* sink);
void check_out_of_memory(CheckSink* sink);

}  // namespace ark
