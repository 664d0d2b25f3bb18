#include "core/drill/check_extensions.hpp"

namespace ark {

namespace {

void throw_unless_installed(const SqlResult& result, const std::string& extension, uint32_t major) {
    // Not by the state alone: a relation's file that is missing has the same.
    const bool missing = result.sqlstate == "0A000" ||
                         (result.sqlstate == "58P01" &&
                          (result.message.starts_with("could not access file \"") ||
                           result.message.starts_with("could not open extension control file")));
    if (!missing)
        return;
    throw Error(
        ErrorCode::not_found, "extension " + extension + " is not installed on this host",
        result.message + ".",
        "Install PostgreSQL's contrib modules (Debian: postgresql-" + std::to_string(major) + ").");
}

}  // namespace

std::optional<SqlResult> make_check_functions(const CheckContext& context, TaskPool& pool,
                                              const std::string& database) {
    SqlResult result = pool.ask(database, "CREATE SCHEMA " + context.schema);
    if (result.failed)
        return result;
    for (const char* name : {"amcheck", "pg_visibility"}) {
        const std::string extension = name;
        result = pool.ask(
            database, "SELECT 1 FROM pg_catalog.pg_extension WHERE extname = '" + extension + "'");
        if (result.failed)
            return result;
        result =
            result.rows().empty()
                ? pool.ask(database, "CREATE EXTENSION " + extension + " SCHEMA " + context.schema)
                : pool.ask(database, "ALTER EXTENSION " + extension + " SET SCHEMA " +
                                         context.schema + "; ALTER EXTENSION " + extension +
                                         " UPDATE");
        throw_unless_installed(result, extension, context.major);
        if (result.failed)
            return result;
    }
    if (context.reader.empty())
        return std::nullopt;
    result = pool.ask(database, "GRANT USAGE ON SCHEMA " + context.schema + " TO " +
                                    context.reader + "; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA " +
                                    context.schema + " TO " + context.reader);
    return result.failed ? std::optional(result) : std::nullopt;
}

}  // namespace ark
