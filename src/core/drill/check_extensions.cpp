#include "core/drill/check_extensions.hpp"

namespace ark {

namespace {

void throw_unless_installed(const SqlResult& result, uint32_t major) {
    // Not by the state alone: a relation's file that is missing has the same.
    const bool missing = result.sqlstate == "0A000" ||
                         (result.sqlstate == "58P01" &&
                          (result.message.starts_with("could not access file \"") ||
                           result.message.starts_with("could not open extension control file")));
    if (!missing)
        return;
    throw Error(
        ErrorCode::not_found, "extension amcheck is not installed on this host",
        result.message + ".",
        "Install PostgreSQL's contrib modules (Debian: postgresql-" + std::to_string(major) + ").");
}

// What constraints, indexes and bounds of partitions compute, with the functions that those are
// made of as far as the catalog knows them: who may insert a row may execute them, the reader of a
// function that was taken from PUBLIC may not.
constexpr const char* kComputed = R"(
WITH RECURSIVE used (oid) AS (
    SELECT CASE d.refclassid WHEN 'pg_catalog.pg_proc'::pg_catalog.regclass THEN d.refobjid
                ELSE (SELECT o.oprcode FROM pg_catalog.pg_operator AS o WHERE o.oid = d.refobjid) END
    FROM pg_catalog.pg_depend AS d
    WHERE d.refclassid IN ('pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_operator'::pg_catalog.regclass)
      AND d.classid IN ('pg_catalog.pg_constraint'::pg_catalog.regclass, 'pg_catalog.pg_class'::pg_catalog.regclass)
    UNION
    SELECT CASE d.refclassid WHEN 'pg_catalog.pg_proc'::pg_catalog.regclass THEN d.refobjid
                ELSE (SELECT o.oprcode FROM pg_catalog.pg_operator AS o WHERE o.oid = d.refobjid) END
    FROM used AS u JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = u.oid
    WHERE d.refclassid IN ('pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_operator'::pg_catalog.regclass))
SELECT pg_catalog.string_agg(p.oid::pg_catalog.regprocedure::pg_catalog.text, ', ') FROM pg_catalog.pg_proc AS p
WHERE p.oid IN (SELECT u.oid FROM used AS u) AND NOT pg_catalog.has_function_privilege(')";

// Where it fails the rules that it is for are noted as not checked.
void let_reader_compute(const CheckContext& context, TaskPool& pool, const std::string& database) {
    const SqlResult functions =
        pool.ask(database, kComputed + context.reader + "', p.oid, 'EXECUTE')");
    if (functions.failed || functions.rows().empty() || !functions.rows().front()[0])
        return;
    (void)pool.ask(database, "GRANT EXECUTE ON ROUTINE " + *functions.rows().front()[0] + " TO " +
                                 context.reader);
}

}  // namespace

std::optional<SqlResult> make_check_functions(const CheckContext& context, TaskPool& pool,
                                              const std::string& database) {
    SqlResult result = pool.ask(database, "CREATE SCHEMA " + context.schema);
    if (result.failed)
        return result;
    result = pool.ask(database, "SELECT 1 FROM pg_catalog.pg_extension WHERE extname = 'amcheck'");
    if (result.failed)
        return result;
    result = result.rows().empty()
                 ? pool.ask(database, "CREATE EXTENSION amcheck SCHEMA " + context.schema)
                 : pool.ask(database, "ALTER EXTENSION amcheck SET SCHEMA " + context.schema +
                                          "; ALTER EXTENSION amcheck UPDATE");
    throw_unless_installed(result, context.major);
    if (result.failed)
        return result;
    if (context.reader.empty())
        return std::nullopt;
    result = pool.ask(database, "GRANT USAGE ON SCHEMA " + context.schema + " TO " +
                                    context.reader + "; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA " +
                                    context.schema + " TO " + context.reader);
    if (result.failed)
        return result;
    let_reader_compute(context, pool, database);
    return std::nullopt;
}

}  // namespace ark
