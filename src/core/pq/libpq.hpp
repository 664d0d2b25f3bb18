#pragma once

#include <libpq-fe.h>

#include "core/base/library.hpp"

namespace ark {

/// libpq, loaded by the first who connects to a server. Its functions, as libpq-fe.h has them.
struct LibPq {
    Library library{"libpq.so.5", "libpq5"};
    decltype(&::PQbackendPID) PQbackendPID = library["PQbackendPID"];
    decltype(&::PQclear) PQclear = library["PQclear"];
    decltype(&::PQconnectPoll) PQconnectPoll = library["PQconnectPoll"];
    decltype(&::PQconnectStartParams) PQconnectStartParams = library["PQconnectStartParams"];
    decltype(&::PQconninfoFree) PQconninfoFree = library["PQconninfoFree"];
    decltype(&::PQconninfoParse) PQconninfoParse = library["PQconninfoParse"];
    decltype(&::PQconsumeInput) PQconsumeInput = library["PQconsumeInput"];
    decltype(&::PQerrorMessage) PQerrorMessage = library["PQerrorMessage"];
    decltype(&::PQfinish) PQfinish = library["PQfinish"];
    decltype(&::PQflush) PQflush = library["PQflush"];
    decltype(&::PQfreemem) PQfreemem = library["PQfreemem"];
    decltype(&::PQgetCopyData) PQgetCopyData = library["PQgetCopyData"];
    decltype(&::PQgetResult) PQgetResult = library["PQgetResult"];
    decltype(&::PQgetisnull) PQgetisnull = library["PQgetisnull"];
    decltype(&::PQgetlength) PQgetlength = library["PQgetlength"];
    decltype(&::PQgetvalue) PQgetvalue = library["PQgetvalue"];
    decltype(&::PQisBusy) PQisBusy = library["PQisBusy"];
    decltype(&::PQnfields) PQnfields = library["PQnfields"];
    decltype(&::PQntuples) PQntuples = library["PQntuples"];
    decltype(&::PQparameterStatus) PQparameterStatus = library["PQparameterStatus"];
    decltype(&::PQputCopyData) PQputCopyData = library["PQputCopyData"];
    decltype(&::PQputCopyEnd) PQputCopyEnd = library["PQputCopyEnd"];
    decltype(&::PQresultErrorField) PQresultErrorField = library["PQresultErrorField"];
    decltype(&::PQresultErrorMessage) PQresultErrorMessage = library["PQresultErrorMessage"];
    decltype(&::PQresultStatus) PQresultStatus = library["PQresultStatus"];
    decltype(&::PQsendQuery) PQsendQuery = library["PQsendQuery"];
    decltype(&::PQsetClientEncoding) PQsetClientEncoding = library["PQsetClientEncoding"];
    decltype(&::PQsetNoticeProcessor) PQsetNoticeProcessor = library["PQsetNoticeProcessor"];
    decltype(&::PQsetSingleRowMode) PQsetSingleRowMode = library["PQsetSingleRowMode"];
    decltype(&::PQsetnonblocking) PQsetnonblocking = library["PQsetnonblocking"];
    decltype(&::PQsocket) PQsocket = library["PQsocket"];
    decltype(&::PQstatus) PQstatus = library["PQstatus"];
};
/// Error: as Library, each time anew.
const LibPq& pq();

}  // namespace ark
