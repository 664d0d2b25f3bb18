#include "core/restore/destination.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/pgdata/config_text.hpp"
#include "core/pgdata/control_file.hpp"
#include "core/pgdata/server_version.hpp"
#include "core/restore/layout.hpp"
#include "core/restore/running_server.hpp"
#include "core/restore/tree.hpp"
#include "core/restore/unfinished.hpp"
#include "core/store/local.hpp"

namespace ark {

namespace {

std::string quoted(const std::string& path) {
    return "\"" + path + "\"";
}

bool exists(const std::string& path) {
    struct stat st {};
    return ::lstat(path.c_str(), &st) == 0;
}

bool is_directory(const std::string& path) {
    struct stat st {};
    return ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

// Where the links in <data directory>/pg_tblspc lead, canonical.
std::vector<std::string> tablespace_links(const std::string& data_directory) {
    std::vector<std::string> locations;
    const std::string directory = data_directory + "/pg_tblspc";
    if (!is_directory(directory))
        return locations;
    for (const std::string& name : names_in_directory(directory)) {
        struct stat st {};
        const std::string link = join_path(directory, name);
        if (::lstat(link.c_str(), &st) == 0 && S_ISLNK(st.st_mode)) {
            locations.push_back(canonical_path(link));
        }
    }
    return locations;
}

void check_no_server(const std::string& directory) {
    const auto server = find_running_server(directory);
    if (!server)
        return;
    throw Error(ErrorCode::refused, "a server is running in data directory " + quoted(directory),
                server->evidence,
                "Stop it first: pg_ctl -D " + shell_word(directory) +
                    " stop. --force does not change this.");
}

// "PG_15_202209061": what a server makes in a tablespace's location is its own.
bool is_version_directory(const std::string& path) {
    constexpr std::string_view kBegin = "PG_";
    constexpr std::string_view kDigits = "0123456789";
    std::string_view name = path;
    name.remove_prefix(name.find_last_of('/') + 1);
    if (!name.starts_with(kBegin))
        return false;
    name.remove_prefix(kBegin.size());
    const size_t version = std::min(name.find_first_not_of(kDigits), name.size());
    const std::string_view catalog = name.substr(version);
    return version > 0 && catalog.size() > 1 && catalog.front() == '_' &&
           catalog.find_first_not_of(kDigits, 1) == std::string_view::npos;
}

void check_not_in_a_cluster(const std::string& directory) {
    constexpr const char* kHint = "Choose a directory outside every cluster.";
    for (std::string above = directory; above != "/"; above = parent_directory(above)) {
        if (is_version_directory(above)) {
            throw Error(
                ErrorCode::refused,
                quoted(directory) + " is inside the tablespace " + quoted(parent_directory(above)),
                "A server keeps its files in " + quoted(above) + ".", kHint);
        }
        if (above != directory && exists(above + "/PG_VERSION")) {
            throw Error(ErrorCode::refused,
                        quoted(directory) + " is inside the data directory " + quoted(above), {},
                        kHint);
        }
    }
}

void check_apart_from_repository(const std::string& directory, const std::string& repository_url) {
    const auto path = local_store_path(repository_url);
    if (!path)
        return;
    const std::string repository = canonical_path(*path);
    if (!is_inside(repository, directory) && !is_inside(directory, repository))
        return;
    throw Error(ErrorCode::refused,
                "directory " + quoted(directory) + " and the repository contain each other",
                "The repository is in " + quoted(repository) + ".", "Choose another directory.");
}

// Reads what is in the way, and refuses unless it is a cluster and may go.
// An unfinished restore, or the cluster that the backup is of.
bool is_same_cluster(const Destination& found, const BackupMarker& backup) {
    if (found.unfinished)
        return true;
    try {
        return read_control_file(found.directory).system_identifier == backup.system_identifier;
    } catch (const Error&) {
        return false;
    }
}

void check_occupied(Destination& out, const BackupMarker& backup,
                    const DestinationRequest& request) {
    // The mark goes just before pg_control comes into place.
    out.unfinished = exists(out.directory + "/" + kUnfinishedName) ||
                     exists(out.directory + "/" + kWaitingControlPath);
    const bool looks_like_cluster = out.unfinished || exists(out.directory + "/PG_VERSION");
    if (!looks_like_cluster) {
        throw Error(
            ErrorCode::refused, "directory " + quoted(out.directory) + " is not empty",
            "It is not a data directory either: it has no file PG_VERSION.",
            "Choose an empty or a new directory; --force and --delta are for data directories "
            "only.");
    }
    if (!request.force && !request.delta) {
        throw Error(ErrorCode::refused, "data directory " + quoted(out.directory) + " is not empty",
                    out.unfinished ? "It holds a restore that did not end." : "It holds a cluster.",
                    "Choose an empty or a new directory, let --force remove what is there, or "
                    "let --delta make of it what the backup has.");
    }
    if (!request.force && !is_same_cluster(out, backup)) {
        throw Error(ErrorCode::refused,
                    "data directory " + quoted(out.directory) +
                        " does not hold the cluster that the backup is of",
                    "Its pg_control has another system identifier, or cannot be read.",
                    "Check the directory. If what is there may go, add --force.");
    }
    out.occupied = true;
    try {
        const uint64_t found = read_control_file(out.directory).system_identifier;
        if (found != backup.system_identifier)
            out.other_system_identifier = found;
    } catch (const Error&) {
        // A damaged or missing pg_control is a good reason for a restore.
    }
}

class TablespaceChecker {
 public:
    TablespaceChecker(const BackupMarker& backup, Destination& out) : backup_(backup), out_(out) {
        for (const RunningServer& server : servers_) {
            for (std::string& location : tablespace_links(server.data_directory)) {
                in_use_.emplace(std::move(location), server);
            }
        }
        if (!out.occupied)
            return;
        own_ = tablespace_links(out.directory);
        if (const auto note = read_unfinished(out.directory)) {
            own_.insert(own_.end(), note->tablespaces.begin(), note->tablespaces.end());
        }
    }

    // Emptying the directory would reach whatever lies below it.
    void check_nothing_runs_inside() const {
        const auto refuse = [&](const RunningServer& server, const std::string& what) {
            throw Error(ErrorCode::refused,
                        "a running server uses " + quoted(what) + ", which is inside " +
                            quoted(out_.directory),
                        "Process " + std::to_string(server.pid) + " works in " +
                            quoted(server.data_directory) + ".",
                        "Choose another directory.");
        };
        for (const RunningServer& server : servers_) {
            if (is_inside(server.data_directory, out_.directory))
                refuse(server, server.data_directory);
        }
        for (const auto& [location, server] : in_use_) {
            if (is_inside(location, out_.directory))
                refuse(server, location);
        }
    }

    void check(TablespaceTarget& t) {
        t.location = canonical_path(t.location);
        check_not_in_a_cluster(t.location);
        const std::string what = "tablespace location " + quoted(t.location);
        const std::string hint = hint_to_map(t.original);
        const auto user = in_use_.find(t.location);
        if (user != in_use_.end()) {
            throw Error(ErrorCode::refused, what + " belongs to a running server",
                        "Process " + std::to_string(user->second.pid) + " works in " +
                            quoted(user->second.data_directory) + " and has a link to it.",
                        hint);
        }
        if (!exists(t.location) || is_empty_directory(t.location))
            return;
        if (!is_directory(t.location)) {
            throw Error(ErrorCode::refused, what + " is not a directory", {}, hint);
        }
        if (std::find(own_.begin(), own_.end(), t.location) == own_.end()) {
            throw Error(ErrorCode::refused, what + " is not empty",
                        "It may belong to another cluster.", hint);
        }
        const std::string old = t.location + "/" + tablespace_version_directory(backup_);
        if (exists(old))
            out_.old_tablespace_directories.push_back(old);
    }

    // A copy of a cluster has links to the original's tablespaces: those of a running one are not
    // the copy's.
    std::vector<std::string> abandoned() const {
        std::set<std::string> rest(own_.begin(), own_.end());
        std::erase_if(rest, [&](const std::string& path) { return in_use_.contains(path); });
        for (const auto& t : out_.tablespaces)
            rest.erase(t.location);
        return {rest.begin(), rest.end()};
    }

 private:
    const BackupMarker& backup_;
    Destination& out_;
    const std::vector<RunningServer> servers_ = visible_servers();
    std::vector<std::string> own_;  // locations that the replaced cluster's links lead to
    std::map<std::string, RunningServer> in_use_;
};

}  // namespace

std::string tablespace_version_directory(const BackupMarker& backup) {
    return "PG_" + std::to_string(major_of(backup.pg_version_num)) + "_" +
           std::to_string(backup.catalog_version);
}

Destination check_destination(const DestinationRequest& request, const BackupMarker& backup,
                              const std::string& repository_url) {
    Destination out;
    out.directory = canonical_path(request.directory);
    if (out.directory == "/") {
        throw Error(ErrorCode::refused, "the root directory cannot be a data directory");
    }
    out.exists = exists(out.directory);
    if (out.exists && !is_directory(out.directory)) {
        throw Error(ErrorCode::refused, quoted(out.directory) + " is not a directory");
    }
    check_no_server(out.directory);
    check_not_in_a_cluster(out.directory);
    check_apart_from_repository(out.directory, repository_url);
    if (out.exists && !is_empty_directory(out.directory)) {
        check_occupied(out, backup, request);
    }
    out.tablespaces = map_tablespaces(backup.tablespaces, request.tablespace_map, out.directory);
    TablespaceChecker checker(backup, out);
    checker.check_nothing_runs_inside();
    for (TablespaceTarget& t : out.tablespaces) {
        checker.check(t);
        check_apart_from_repository(t.location, repository_url);
    }
    // Links may have brought together what looked apart.
    std::vector<Tablespace> resolved;
    for (const auto& t : out.tablespaces)
        resolved.push_back({t.oid, t.location});
    map_tablespaces(resolved, {}, out.directory);
    out.abandoned_tablespaces = checker.abandoned();
    return out;
}

std::string nearest_existing_directory(std::string path) {
    while (!is_directory(path))
        path = parent_directory(path);
    return path;
}

void check_room(const std::map<std::string, uint64_t>& bytes,
                const std::map<std::string, uint64_t>& reclaimed) {
    struct FileSystem {
        std::string name;
        uint64_t needed = 0;
        uint64_t free = 0;
    };
    std::map<dev_t, FileSystem> systems;
    const auto system_of = [&](const std::string& path) -> FileSystem& {
        const std::string directory = nearest_existing_directory(path);
        struct stat st {};
        struct statvfs fs {};
        if (::stat(directory.c_str(), &st) != 0 || ::statvfs(directory.c_str(), &fs) != 0) {
            throw system_error(errno, "could not stat the file system of \"" + directory + "\"");
        }
        FileSystem& system = systems[st.st_dev];
        if (system.name.empty()) {
            system = {directory, 0, static_cast<uint64_t>(fs.f_bavail) * fs.f_frsize};
        }
        return system;
    };
    for (const auto& [path, needed] : bytes)
        system_of(path).needed += needed;
    for (const auto& [path, freed] : reclaimed)
        system_of(path).free += freed;
    for (const auto& [device, system] : systems) {
        if (system.needed <= system.free)
            continue;
        throw Error(ErrorCode::disk_full,
                    "not enough room on the file system of \"" + system.name + "\"",
                    "The restore needs " + human_bytes(system.needed) + ", " +
                        human_bytes(system.free) + " are free.",
                    "Make room, restore elsewhere, or move tablespaces with --tablespace-map.");
    }
}

}  // namespace ark
