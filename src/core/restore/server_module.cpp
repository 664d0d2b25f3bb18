#include "core/restore/server_module.hpp"

#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "core/base/file.hpp"
#include "core/pgdata/config_text.hpp"

namespace ark {

namespace {

constexpr size_t kConfigLimit = 16 << 20;

bool exists(const std::string& path) {
    return ::access(path.c_str(), F_OK) == 0;
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kAround = " \t\"";
    const size_t begin = text.find_first_not_of(kAround);
    if (begin == std::string_view::npos)
        return {};
    return text.substr(begin, text.find_last_not_of(kAround) + 1 - begin);
}

bool is_module(std::string_view library) {
    std::string_view name = trimmed(library);
    name.remove_prefix(name.find_last_of('/') + 1);
    return name == "pg_ark" || name == "pg_ark.so";
}

// The list without the module, the rest as it was written; nullopt where it is not in there.
std::optional<std::string> without_module_in_list(std::string_view list) {
    std::string rest;
    bool found = false;
    while (!list.empty()) {
        const size_t comma = std::min(list.find(','), list.size());
        const std::string_view item = list.substr(0, comma);
        list.remove_prefix(std::min(comma + 1, list.size()));
        if (is_module(item)) {
            found = true;
            continue;
        }
        rest.append(rest.empty() ? "" : ",").append(item);
    }
    return found ? std::optional(rest) : std::nullopt;
}

}  // namespace

std::optional<std::string> find_library_directory(const std::string& program, int major) {
    const std::string version = std::to_string(major);
    for (const std::string& prefix : {parent_directory(parent_directory(program)),
                                      "/usr/lib/postgresql/" + version, "/usr/pgsql-" + version}) {
        if (!exists(prefix + "/bin/postgres"))
            continue;
        // Every server has this one, and its library directory alone.
        for (const char* place : {"/lib", "/lib/postgresql", "/lib64", "/lib64/postgresql"}) {
            if (exists(prefix + place + "/plpgsql.so"))
                return prefix + place;
        }
    }
    return std::nullopt;
}

std::string settings_without_module(const std::vector<std::string>& files, bool no_archiving) {
    std::string libraries;
    for (const std::string& path : files) {
        const auto content = read_file_if_exists(path, kConfigLimit);
        edit_config(content ? as_text(*content) : std::string_view(),
                    [&](const ConfigLine& parsed, std::string_view /*line*/) {
                        if (parsed.name == "shared_preload_libraries")
                            libraries = parsed.value;
                        return std::optional<std::string>();
                    });
    }
    const auto rest = without_module_in_list(libraries);
    if (!rest)
        return {};
    return "# The server's module of pg_ark is not installed on this machine. When it is, remove "
           "from here on.\n"
           "shared_preload_libraries = " +
           quote_config_value(*rest) + "\n" + (no_archiving ? "archive_mode = off\n" : "");
}

}  // namespace ark
