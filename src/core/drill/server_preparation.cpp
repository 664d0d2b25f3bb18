#include "core/drill/server_preparation.hpp"

#include <utility>

namespace ark {

namespace {

// One statement a line. 10 is the bootstrap superuser's oid.
constexpr const char* kStatements =
    "UPDATE pg_catalog.pg_authid SET rolcanlogin = true, rolsuper = true, rolconnlimit = -1, "
    "rolvaliduntil = NULL WHERE oid = 10\n"
    "UPDATE pg_catalog.pg_database SET datallowconn = true, datconnlimit = -1 WHERE datconnlimit "
    "<> -2\n"
    "DELETE FROM pg_catalog.pg_db_role_setting\n"
    "SELECT rolname FROM pg_catalog.pg_authid WHERE oid = 10\n";

}  // namespace

std::string superuser_in(const std::string& output) {
    constexpr std::string_view kBegin = "rolname = \"";
    constexpr std::string_view kEnd = "\"\t(typeid";
    const size_t begin = output.find(kBegin);
    if (begin == std::string::npos)
        return {};
    const size_t from = begin + kBegin.size();
    const size_t end = output.find(kEnd, from);
    return end == std::string::npos ? "" : output.substr(from, end - from);
}

PreparedServer ServerPreparation::run(std::vector<std::string>& notes) {
    PreparedServer out{superuser_.empty() ? "postgres" : superuser_, "template1"};
    std::string trouble;
    for (const char* database : {"template1", "postgres", "template0"}) {
        const ProgramOutput output = server_.run_single_user(database, kStatements);
        const std::string name = superuser_in(output.text);
        if (output.status == 0 && !name.empty()) {
            out = {name, database};
            const size_t error = output.text.find("ERROR:  ");
            if (error != std::string::npos) {
                notes.push_back("the copy could not be prepared in full: " +
                                output.text.substr(error, output.text.find('\n', error) - error));
            }
            return out;
        }
        for (const char* level : {"FATAL:  ", "PANIC:  ", "ERROR:  "}) {
            const size_t at = output.text.find(level);
            if (at != std::string::npos && trouble.empty())
                trouble = output.text.substr(at, output.text.find('\n', at) - at);
        }
    }
    notes.push_back("the copy could not be prepared in single-user mode: " + trouble);
    return out;
}

uint64_t roll_back_prepared(TaskPool& pool, const std::vector<DatabaseInfo>& databases,
                            std::vector<std::string>& notes) {
    uint64_t count = 0;
    for (const DatabaseInfo& database : databases) {
        if (database.half_dropped)
            continue;
        const SqlResult prepared =
            pool.ask(database.name,
                     "SELECT gid FROM pg_catalog.pg_prepared_xacts WHERE database = "
                     "pg_catalog.current_database()");
        for (const SqlRow& row : prepared.rows()) {
            ++count;
            const SqlResult result = pool.ask(
                database.name, "ROLLBACK PREPARED " + quote_sql_literal(row[0].value_or("")));
            if (result.failed) {
                notes.push_back("prepared transaction \"" + row[0].value_or("") +
                                "\" could not be rolled back: " + result.message);
            }
        }
    }
    return count;
}

}  // namespace ark
