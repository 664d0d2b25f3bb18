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

// Rules about a table's own rows are looked at as its owner, who may do with it, and with the
// functions that they compute with, what anybody may who inserts; not more, as the code is that of
// whoever wrote them. What an owner has lost, or never had, is given back: the way to his own
// tables. That a table's policies bind him, too, is for the live server.
constexpr const char* kOwners = R"(
SELECT pg_catalog.string_agg(pg_catalog.format('GRANT USAGE ON SCHEMA %I TO %I', o.nspname, o.rolname), '; ')
FROM (SELECT DISTINCT n.nspname, a.rolname FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_authid AS a ON a.oid = c.relowner
      WHERE c.relkind IN ('r', 'p', 'm') AND c.oid >= 16384 AND NOT pg_catalog.has_schema_privilege(a.oid, n.oid, 'USAGE')) AS o)";
constexpr const char* kOwnTables = R"(
SELECT pg_catalog.string_agg(pg_catalog.format('GRANT SELECT ON %s TO %I', c.oid::pg_catalog.regclass, a.rolname), '; ')
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_authid AS a ON a.oid = c.relowner
WHERE c.relkind IN ('r', 'p') AND c.oid >= 16384 AND NOT pg_catalog.has_table_privilege(a.oid, c.oid, 'SELECT'))";

// Where it fails the rules that it is for are noted as not checked.
void let_owners_read(TaskPool& pool, const std::string& database) {
    for (const char* grants : {kOwners, kOwnTables}) {
        const SqlResult result = pool.ask(database, grants);
        if (!result.failed && !result.rows().empty() && result.rows().front()[0])
            (void)pool.ask(database, *result.rows().front()[0]);
    }
    (void)pool.ask(database,
                   "UPDATE pg_catalog.pg_class SET relforcerowsecurity = false WHERE "
                   "relforcerowsecurity");
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
    let_owners_read(pool, database);
    return std::nullopt;
}

}  // namespace ark
