#pragma once

#include <libpq-fe.h>

#include "core/base/library.hpp"

namespace ark {

/// libpq, loaded by the first who connects to a server. Its functions, as libpq-fe.h has them,
/// without their "PQ".
struct LibPq {
    Library library{"libpq.so.5", "libpq5"};
    decltype(&::PQbackendPID) backend_pid = library["PQbackendPID"];
    decltype(&::PQclear) clear = library["PQclear"];
    decltype(&::PQcmdTuples) cmd_tuples = library["PQcmdTuples"];
    decltype(&::PQconnectPoll) connect_poll = library["PQconnectPoll"];
    decltype(&::PQconnectStartParams) connect_start_params = library["PQconnectStartParams"];
    decltype(&::PQconninfoFree) conninfo_free = library["PQconninfoFree"];
    decltype(&::PQconninfoParse) conninfo_parse = library["PQconninfoParse"];
    decltype(&::PQconsumeInput) consume_input = library["PQconsumeInput"];
    decltype(&::PQerrorMessage) error_message = library["PQerrorMessage"];
    decltype(&::PQfinish) finish = library["PQfinish"];
    decltype(&::PQflush) flush = library["PQflush"];
    decltype(&::PQfname) f_name = library["PQfname"];
    decltype(&::PQfreemem) free_mem = library["PQfreemem"];
    decltype(&::PQftype) f_type = library["PQftype"];
    decltype(&::PQgetCopyData) get_copy_data = library["PQgetCopyData"];
    decltype(&::PQgetResult) get_result = library["PQgetResult"];
    decltype(&::PQgetisnull) get_is_null = library["PQgetisnull"];
    decltype(&::PQgetlength) get_length = library["PQgetlength"];
    decltype(&::PQgetvalue) get_value = library["PQgetvalue"];
    decltype(&::PQisBusy) is_busy = library["PQisBusy"];
    decltype(&::PQnfields) n_fields = library["PQnfields"];
    decltype(&::PQntuples) n_tuples = library["PQntuples"];
    decltype(&::PQparameterStatus) parameter_status = library["PQparameterStatus"];
    decltype(&::PQputCopyData) put_copy_data = library["PQputCopyData"];
    decltype(&::PQputCopyEnd) put_copy_end = library["PQputCopyEnd"];
    decltype(&::PQresultErrorField) result_error_field = library["PQresultErrorField"];
    decltype(&::PQresultErrorMessage) result_error_message = library["PQresultErrorMessage"];
    decltype(&::PQresultStatus) result_status = library["PQresultStatus"];
    decltype(&::PQsendQuery) send_query = library["PQsendQuery"];
    decltype(&::PQsendQueryParams) send_query_params = library["PQsendQueryParams"];
    decltype(&::PQsetClientEncoding) set_client_encoding = library["PQsetClientEncoding"];
    decltype(&::PQsetNoticeProcessor) set_notice_processor = library["PQsetNoticeProcessor"];
    decltype(&::PQsetSingleRowMode) set_single_row_mode = library["PQsetSingleRowMode"];
    decltype(&::PQsetnonblocking) set_nonblocking = library["PQsetnonblocking"];
    decltype(&::PQsocket) socket = library["PQsocket"];
    decltype(&::PQstatus) status = library["PQstatus"];
};
/// Error: as Library, each time anew.
const LibPq& pq();

}  // namespace ark
