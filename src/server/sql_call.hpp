#pragma once
/// A thin layer over SPI for the module's own fixed statements.
#include "server/pg_version.hpp"

namespace ark {

/// SPI as the superuser, for fixed statements that name every object and operator with its schema,
/// or run in a function that pins its search_path: the caller's decides nothing, and an error
/// restores the user with the transaction.
struct Lookup {
    Oid user;
    int security;
};
Lookup begin_lookup();
void end_lookup(const Lookup& lookup);

/// Runs one statement whose parameters are all text (cast in the statement; NULL is NULL), inside
/// an SPI connection. Throws on errors. Returns the number of rows processed; result rows are in
/// SPI_tuptable.
uint64 run_sql(const char* statement, int count, const char* const* values);

template <typename... Values>
uint64 sql(const char* statement, Values... values) {
    const char* const list[] = {values..., nullptr};
    return run_sql(statement, sizeof...(values), list);
}

/// Column (from 1) of a result row as text in the SPI context; NULL for NULL and for a row that is
/// not there.
char* result(uint64 row, int column);

/// "123" for parameters; palloc'd.
char* number_text(uint64 value);
/// "0/2000028", or NULL where the LSN is invalid.
char* lsn_text(uint64 lsn);
/// A timestamptz literal of Unix microseconds; NULL for 0.
char* unix_time_text(uint64 microseconds);

}  // namespace ark
