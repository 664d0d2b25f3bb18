#include "core/drill/server_preparation.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "core/base/error.hpp"
#include "core/repo/evidence.hpp"
#include "core/restore/tree.hpp"

namespace ark {

namespace {

// One statement a line. 4569 to 4571 are pg_read_server_files, pg_write_server_files and
// pg_execute_server_program (src/include/catalog/pg_authid.dat). The last line gives the reader's
// name when all of it has been done.
std::string statements(const std::string& superuser, const std::string& reader) {
    return "CREATE ROLE " + superuser + " SUPERUSER LOGIN\n" + "CREATE ROLE " + reader +
           " LOGIN BYPASSRLS IN ROLE pg_read_all_data\n" +
           "UPDATE pg_catalog.pg_authid SET rolsuper = false, rolcreaterole = false, rolcreatedb = "
           "false, rolreplication = false, rolcanlogin = true, rolconnlimit = -1 WHERE rolname <> "
           "'" +
           superuser +
           "'\n"
           "DELETE FROM pg_catalog.pg_auth_members WHERE roleid IN (4569, 4570, 4571)\n"
           "UPDATE pg_catalog.pg_database SET datallowconn = true, datconnlimit = -1, datacl = "
           "NULL WHERE datconnlimit <> -2\n"
           "DELETE FROM pg_catalog.pg_db_role_setting\n"
           "SELECT r.rolname FROM pg_catalog.pg_authid r JOIN pg_catalog.pg_auth_members m ON "
           "m.member = r.oid WHERE r.rolname = '" +
           reader +
           "' AND (SELECT pg_catalog.array_agg(s.rolname) FROM pg_catalog.pg_authid s WHERE "
           "s.rolsuper) = ARRAY['" +
           superuser +
           "'::pg_catalog.name] AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_auth_members f WHERE "
           "f.roleid IN (4569, 4570, 4571))\n";
}

// Nobody can have prepared anything for a name that is made now.
std::string new_role(const char* kind) {
    std::string name = std::string("ark_drill_") + kind + "_" + make_uuid();
    std::ranges::replace(name, '-', '_');
    return name;
}

}  // namespace

std::string role_in(const std::string& output) {
    constexpr std::string_view kBegin = "rolname = \"";
    constexpr std::string_view kEnd = "\"\t(typeid";
    const size_t begin = output.find(kBegin);
    if (begin == std::string::npos)
        return {};
    const size_t from = begin + kBegin.size();
    const size_t end = output.find(kEnd, from);
    return end == std::string::npos ? "" : output.substr(from, end - from);
}

PreparedServer ServerPreparation::run() {
    const std::string superuser = new_role("superuser");
    const std::string reader = new_role("reader");
    std::string trouble;
    for (const char* database : {"template1", "postgres", "template0"}) {
        const ProgramOutput output =
            server_.run_single_user(database, statements(superuser, reader));
        if (output.status == 0 && role_in(output.text) == reader)
            return {superuser, reader, database, {}};
        for (const char* level : {"FATAL:  ", "PANIC:  ", "ERROR:  "}) {
            const size_t at = output.text.find(level);
            if (at != std::string::npos && trouble.empty())
                trouble = output.text.substr(at, output.text.find('\n', at) - at);
        }
    }
    return {superuser_.empty() ? "postgres" : superuser_, {}, "template1", trouble};
}

// A clean shutdown has put all of them there. A transaction that the server knows nothing of, and
// that has not committed, was rolled back (src/backend/access/transam/twophase.c).
uint64_t discard_prepared(const std::string& data_directory) {
    const std::string directory = data_directory + "/pg_twophase";
    uint64_t count = 0;
    for (const std::string& name : names_in_directory(directory)) {
        const std::string path = join_path(directory, name);
        if (::unlink(path.c_str()) != 0)
            throw system_error(errno, "could not remove file \"" + path + "\"");
        ++count;
    }
    return count;
}

}  // namespace ark
