#include "server/wal_conninfo.hpp"

#include "server/settings.hpp"

extern "C" {
#include "common/username.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "postmaster/postmaster.h"
}

namespace ark {
namespace {

// As libpq reads a value: in quotes, with a backslash before quotes and backslashes.
void put(StringInfo out, const char* key, const char* value) {
    appendStringInfo(out, "%s%s='", out->len > 0 ? " " : "", key);
    for (; *value != '\0'; value++) {
        if (*value == '\'' || *value == '\\')
            appendStringInfoChar(out, '\\');
        appendStringInfoChar(out, *value);
    }
    appendStringInfoChar(out, '\'');
}

// The first of unix_socket_directories; libpq wants it absolute (an abstract one begins with "@").
const char* socket_directory() {
    const char* list = Unix_socket_directories != nullptr ? Unix_socket_directories : "";
    list += strspn(list, " ");
    char* first = pnstrdup(list, strcspn(list, ","));
    for (size_t length = strlen(first); length > 0 && first[length - 1] == ' ';)
        first[--length] = '\0';
    const size_t length = strlen(first);
    if (length > 1 && first[0] == '"' && first[length - 1] == '"')
        first = pnstrdup(first + 1, length - 2);
    if (first[0] == '\0' || first[0] == '/' || first[0] == '@')
        return first;
    return psprintf("%s/%s", DataDir, first);
}

bool is_uri(const char* text) {
    return strncmp(text, "postgres://", 11) == 0 || strncmp(text, "postgresql://", 13) == 0;
}

}  // namespace

const char* wal_conninfo_user() {
    char* error = nullptr;
    const char* user = settings.wal_conninfo[0] == '\0' ? get_user_name(&error) : "";
    return user != nullptr ? user : "";
}

char* wal_conninfo() {
    // A URI gets its name from the executable, which has the same default.
    if (is_uri(settings.wal_conninfo))
        return pstrdup(settings.wal_conninfo);
    StringInfoData out;
    initStringInfo(&out);
    put(&out, "application_name", "pg_ark");
    // Of a key that is there twice libpq takes the second.
    if (settings.wal_conninfo[0] != '\0') {
        appendStringInfo(&out, " %s", settings.wal_conninfo);
        return out.data;
    }
    const char* directory = socket_directory();
    put(&out, "host", directory[0] != '\0' ? directory : "localhost");
    put(&out, "port", psprintf("%d", PostPortNumber));
    const char* user = wal_conninfo_user();
    if (user[0] != '\0')
        put(&out, "user", user);
    return out.data;
}

}  // namespace ark
