#include "server/repository_url.hpp"

#include <dirent.h>
#include <unistd.h>

#include <climits>

#include "server/settings.hpp"

extern "C" {
#include "miscadmin.h"
#include "storage/fd.h"
}

namespace ark {
namespace {

constexpr char kScheme[] = "file://";
constexpr char kUrlHint[] =
    "Use a URL such as file:///var/lib/pg_ark or s3://bucket/prefix?region=eu-west-1.";
// Of what the executable knows; it alone reads the rest of such a URL.
const char* const kObjectStorage[] = {"s3", "azure", "gs"};

// One %XX of a URL's path; the executable decodes in the same way.
int hex_pair(const char* at) {
    int value = 0;
    for (int i = 0; i < 2; i++) {
        const char c = at[i];
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

char* decoded_path(const char* url) {
    const char* in = url + strlen(kScheme);
    char* path = static_cast<char*>(palloc(strlen(in) + 1));
    char* out = path;
    while (*in != '\0') {
        const int byte = *in == '%' ? hex_pair(in + 1) : -1;
        *out++ = byte > 0 ? static_cast<char>(byte) : *in;
        in += byte > 0 ? 3 : 1;
    }
    *out = '\0';
    return path;
}

bool is_below(const char* path, const char* directory) {
    const size_t length = strlen(directory);
    return strncmp(path, directory, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

// The repository's own path is compared as it is written and never looked up: a server process must
// not hang on a repository's file system. Links that lead into the directory are the executable's
// to find.
bool is_inside(const char* path, const char* directory) {
    char resolved[PATH_MAX];
    return is_below(path, directory) ||
           (realpath(directory, resolved) != nullptr && is_below(path, resolved));
}

// The link in pg_tblspc of the tablespace that holds `path`, or NULL.
char* tablespace_holding(const char* path) {
    char* found = nullptr;
    DIR* links = opendir("pg_tblspc");
    if (links == nullptr)
        return nullptr;
    while (struct dirent* entry = readdir(links)) {
        if (entry->d_name[0] == '.')
            continue;
        char* link = psprintf("pg_tblspc/%s", entry->d_name);
        if (is_inside(path, link)) {
            found = link;
            break;
        }
    }
    closedir(links);
    return found;
}

bool is_scheme(const char* url, const char* scheme) {
    const size_t length = strlen(scheme);
    return strncmp(url, scheme, length) == 0 && strncmp(url + length, "://", 3) == 0;
}

bool is_object_storage(const char* url) {
    for (const char* scheme : kObjectStorage) {
        if (is_scheme(url, scheme))
            return true;
    }
    return false;
}

UrlProblem check_bucket_url(const char* url) {
    const char* bucket = strstr(url, "://") + 3;
    const size_t length = strcspn(bucket, "/?#");
    if (memchr(bucket, '@', length) != nullptr)
        return {"the value of pg_ark.repositories has a user name or password in it",
                "Everybody who sees the setting would see it.",
                "Credentials come from where the vendor's own tools look, or from the file that "
                "credentials_file= names."};
    if (length == 0)
        return {"the value of pg_ark.repositories names no bucket", nullptr, kUrlHint};
    return {};
}

}  // namespace

// Messages do not repeat the value: somebody may have put a password into it.
UrlProblem check_repository_url(const char* value) {
    if (value[0] == '\0')
        return {};
    const char* colon = strstr(value, "://");
    if (colon == nullptr || colon == value)
        return {"the value of pg_ark.repositories is not a URL", nullptr, kUrlHint};
    if (!is_object_storage(value) && strncmp(value, kScheme, strlen(kScheme)) != 0)
        return {psprintf("repositories of the kind \"%s\" are not supported by this version",
                         pnstrdup(value, static_cast<Size>(colon - value))),
                "It knows file, s3, azure and gs.", kUrlHint};
    if (strpbrk(value, ", \t\n") != nullptr)
        return {"more than one repository is named in pg_ark.repositories",
                "This version keeps one; a space or a comma in a path is written %20 or %2C.",
                kUrlHint};
    if (is_object_storage(value))
        return check_bucket_url(value);
    if (value[strlen(kScheme)] != '/' || strpbrk(value, "?#") != nullptr)
        return {"the value of pg_ark.repositories does not name an absolute directory",
                "A file URL has three slashes and no host, query or fragment.", kUrlHint};
    return {};
}

UrlProblem check_repository_place() {
    if (settings.repositories[0] == '\0')
        return {"no repository is configured", "The setting pg_ark.repositories is empty.",
                "Set pg_ark.repositories to a URL such as file:///var/lib/pg_ark and reload."};
    const UrlProblem problem = check_repository_url(settings.repositories);
    if (problem.message != nullptr)
        return problem;
    if (is_object_storage(settings.repositories))
        return {};
    char* place = decoded_path(settings.repositories);
    canonicalize_path(place);
    const char* hint =
        "Name a directory outside the data directory and all tablespaces, best on "
        "another disk, in pg_ark.repositories.";
    if (is_inside(place, DataDir))
        return {psprintf("repository \"%s\" is inside the data directory", settings.repositories),
                "What destroys the data directory would destroy its backups too.", hint};
    if (is_inside(place, "pg_wal"))
        return {psprintf("repository \"%s\" is inside the WAL directory", settings.repositories),
                "What destroys the server's files would destroy their backups too.", hint};
    if (const char* link = tablespace_holding(place))
        return {psprintf("repository \"%s\" is inside the tablespace \"%s\"", settings.repositories,
                         link),
                "Every backup would hold the backups before it.", hint};
    return {};
}

}  // namespace ark
