#include "core/pgdata/file_list.hpp"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_set>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/pgdata/relation_name.hpp"

namespace ark {

namespace {

using std::string_view;

// Kept as empty directories. pg_wal is listed here too: recovery fetches WAL from the repository.
constexpr std::array<string_view, 8> kEmptied{"pg_stat_tmp", "pg_replslot", "pg_dynshmem",
                                              "pg_notify",   "pg_serial",   "pg_snapshots",
                                              "pg_subtrans", "pg_wal"};

constexpr std::array<string_view, 7> kSkippedAtTop{
    "postgresql.auto.conf.tmp", "current_logfiles.tmp", "backup_label",   "tablespace_map",
    "backup_manifest",          "postmaster.pid",       "postmaster.opts"};

bool is_skipped_file(string_view directory, string_view name) {
    // PG_TEMP_FILE_PREFIX and RELCACHE_INIT_FILENAME, the latter with any suffix.
    if (name.starts_with("pgsql_tmp") || name.starts_with("pg_internal.init"))
        return true;
    if (name == ".DS_Store")
        return true;
    if (!directory.empty())
        return directory == "global" && name == "pg_control";
    return std::ranges::find(kSkippedAtTop, name) != kSkippedAtTop.end();
}

struct DirectoryCloser {
    void operator()(DIR* dir) const { closedir(dir); }
};

// Names in a directory but "." and ".."; nothing where it has vanished.
std::vector<std::string> read_names(const std::string& path) {
    std::vector<std::string> names;
    const std::unique_ptr<DIR, DirectoryCloser> dir(opendir(path.c_str()));
    if (!dir) {
        if (errno == ENOENT)
            return names;
        throw system_error(errno, "could not open directory \"" + path + "\"");
    }
    errno = 0;
    while (const dirent* entry = readdir(dir.get())) {
        const string_view name = entry->d_name;
        if (name != "." && name != "..")
            names.emplace_back(name);
        errno = 0;
    }
    if (errno != 0)
        throw system_error(errno, "could not read directory \"" + path + "\"");
    return names;
}

// nullopt where the link is gone.
std::optional<std::string> read_link(const std::string& path) {
    std::string target(4096, '\0');
    const ssize_t n = readlink(path.c_str(), target.data(), target.size());
    if (n < 0 && errno == ENOENT)
        return std::nullopt;
    if (n < 0)
        throw system_error(errno, "could not read symbolic link \"" + path + "\"");
    target.resize(static_cast<size_t>(n));
    return target;
}

bool is_there(const std::string& path) {
    struct stat st {};
    return lstat(path.c_str(), &st) == 0;
}

bool is_emptied(const std::string& relative) {
    return std::ranges::find(kEmptied, relative) != kEmptied.end();
}

// A tablespace's name below pg_tblspc; nothing for what is no tablespace's.
std::optional<uint32_t> tablespace_oid(const std::string& name) {
    uint32_t oid = 0;
    const char* end = name.data() + name.size();
    const auto result = std::from_chars(name.data(), end, oid);
    const bool number = result.ec == std::errc{} && result.ptr == end;
    return number ? std::optional(oid) : std::nullopt;
}

std::string joined(const std::string& directory, const std::string& name) {
    return directory.empty() ? name : directory + "/" + name;
}

// base/<db>, global, pg_tblspc/<oid>/PG_…/<db>: where relations lie.
bool holds_relations(const std::string& directory) {
    return parse_relation_path(directory + "/1").has_value();
}

}  // namespace

class FileLister {
 public:
    FileLister(FileList& out, std::string root,
               const std::function<void(const std::string&)>& special)
        : out_(out), root_(std::move(root)), special_(special) {}

    void run() {
        find_tablespaces();
        visit_directory("", root_);
        out_.sort();
    }

 private:
    void find_tablespaces() {
        for (const std::string& name : read_names(root_ + "/pg_tblspc")) {
            const std::string path = root_ + "/pg_tblspc/" + name;
            const std::optional<uint32_t> oid = tablespace_oid(name);
            struct stat st {};
            if (!oid || lstat(path.c_str(), &st) != 0 || !S_ISLNK(st.st_mode))
                continue;
            const std::optional<std::string> location = read_link(path);
            if (!location)
                continue;
            out_.tablespaces_.push_back({*oid, *location});
            tablespace_locations_.insert(*location);
        }
        std::ranges::sort(out_.tablespaces_, {}, &FileList::TablespaceLink::oid);
    }

    // `relative` is the path in the backup, `actual` the one on this host.
    void visit_directory(const std::string& relative, const std::string& actual) {
        struct stat st {};
        if (stat(actual.c_str(), &st) != 0) {
            if (errno != ENOENT || relative.empty())
                throw system_error(errno, "could not stat directory \"" + actual + "\"");
            if (!is_emptied(relative))
                return;
            st.st_mode = root_mode_;  // a link to a place that is gone: its content does not matter
        }
        if (relative.empty())
            root_mode_ = st.st_mode & 07777;
        const auto id = static_cast<uint32_t>(out_.directories_.size());
        out_.directories_.push_back({relative, st.st_mode & 07777});
        if (relative == "pg_wal") {
            add_fixed_directory("pg_wal/archive_status");
            if (access((actual + "/summaries").c_str(), F_OK) == 0) {
                add_fixed_directory("pg_wal/summaries");
            }
        }
        if (is_emptied(relative))
            return;
        const std::vector<std::string> names = read_names(actual);
        const std::unordered_set<uint32_t> unlogged = unlogged_in(relative, names);
        for (const std::string& name : names)
            visit(id, relative, actual, name, unlogged);
    }

    void add_fixed_directory(const std::string& relative) {
        out_.directories_.push_back({relative, root_mode_});
    }

    static std::unordered_set<uint32_t> unlogged_in(const std::string& directory,
                                                    const std::vector<std::string>& names) {
        std::unordered_set<uint32_t> out;
        if (!holds_relations(directory))
            return out;
        for (const std::string& name : names) {
            const auto file = parse_relation_file_name(name);
            if (file && !file->temporary && file->fork == Fork::init)
                out.insert(file->filenode);
        }
        return out;
    }

    void visit(uint32_t directory, const std::string& relative, const std::string& actual,
               const std::string& name, const std::unordered_set<uint32_t>& unlogged) {
        const std::string path = joined(relative, name);
        const std::string full = actual + "/" + name;
        if (is_skipped_file(relative, name))
            return;
        if (holds_relations(relative) && is_skipped_relation(name, unlogged))
            return;
        struct stat st {};
        if (lstat(full.c_str(), &st) != 0) {
            if (errno == ENOENT)
                return;
            throw system_error(errno, "could not stat file \"" + full + "\"");
        }
        if (S_ISREG(st.st_mode)) {
            add_file(directory, name, static_cast<uint64_t>(st.st_size));
        } else if (S_ISDIR(st.st_mode)) {
            if (!tablespace_locations_.contains(full))
                visit_directory(path, full);
        } else if (S_ISLNK(st.st_mode) && is_emptied(path)) {
            visit_directory(path, full);
        } else if (S_ISLNK(st.st_mode) && relative == "pg_tblspc" && tablespace_oid(name)) {
            visit_tablespace(*tablespace_oid(name), path, full);
        } else {
            special_(path);
        }
    }

    static bool is_skipped_relation(const std::string& name,
                                    const std::unordered_set<uint32_t>& unlogged) {
        const auto file = parse_relation_file_name(name);
        if (!file)
            return false;
        return file->temporary || (file->fork != Fork::init && unlogged.contains(file->filenode));
    }

    // Of a tablespace only the directories of server versions count; the location itself may hold
    // other things, and its own PG_<version> of another major belongs to another server.
    void visit_tablespace(uint32_t oid, const std::string& path, const std::string& full) {
        // Made since the links were read: WAL makes it again, and would stumble over a directory.
        if (!std::ranges::binary_search(out_.tablespaces_, oid, {}, &FileList::TablespaceLink::oid))
            return;
        struct stat st {};
        if (stat(full.c_str(), &st) != 0) {
            const int error_number = errno;
            if (error_number == ENOENT && !is_there(full))
                return;  // dropped since
            throw system_error(error_number, "could not stat tablespace \"" + full + "\"");
        }
        out_.directories_.push_back({path, root_mode_});
        for (const std::string& name : read_names(full)) {
            if (name.starts_with(version_prefix()))
                visit_directory(path + "/" + name, full + "/" + name);
        }
    }

    const std::string& version_prefix() {
        if (version_prefix_.empty()) {
            const Bytes content = read_file(root_ + "/PG_VERSION", 64);
            std::string major(as_text(content));
            while (!major.empty() && major.back() == '\n')
                major.pop_back();
            version_prefix_ = "PG_" + major + "_";
        }
        return version_prefix_;
    }

    void add_file(uint32_t directory, const std::string& name, uint64_t bytes) {
        out_.entries_.push_back(
            {directory, static_cast<uint32_t>(name.size()), out_.names_.size(), bytes});
        out_.names_ += name;
        out_.total_bytes_ += bytes;
    }

    FileList& out_;
    std::string root_;
    const std::function<void(const std::string&)>& special_;
    std::set<std::string> tablespace_locations_;
    std::string version_prefix_;
    uint32_t root_mode_ =
        0700;  // 0750 where the group may read the cluster: so are its directories
};

FileList FileList::read(const std::string& data_directory,
                        const std::function<void(const std::string&)>& special) {
    FileList list;
    FileLister(list, data_directory, special).run();
    return list;
}

std::string FileList::path(size_t i) const {
    const Entry& e = entries_[i];
    std::string out = directories_[e.directory].path;
    if (!out.empty())
        out += '/';
    out.append(names_, e.name_offset, e.name_length);
    return out;
}

void FileList::sort() {
    // Paths are compared as whole strings: "base/1.x" comes before "base/1/x", as '.' < '/'.
    std::vector<std::pair<std::string, size_t>> keys;
    keys.reserve(entries_.size());
    for (size_t i = 0; i < entries_.size(); ++i)
        keys.emplace_back(path(i), i);
    std::ranges::sort(keys);
    std::vector<Entry> sorted;
    sorted.reserve(entries_.size());
    for (const auto& key : keys)
        sorted.push_back(entries_[key.second]);
    entries_ = std::move(sorted);
    sort_directories();
}

void FileList::sort_directories() {
    std::vector<uint32_t> order(directories_.size());
    std::iota(order.begin(), order.end(), 0U);
    std::ranges::sort(order, {},
                      [this](uint32_t i) -> const std::string& { return directories_[i].path; });
    std::vector<uint32_t> new_place(order.size());
    std::vector<Directory> sorted(order.size());
    for (uint32_t i = 0; i < order.size(); ++i) {
        new_place[order[i]] = i;
        sorted[i] = std::move(directories_[order[i]]);
    }
    directories_ = std::move(sorted);
    for (Entry& entry : entries_)
        entry.directory = new_place[entry.directory];
}

}  // namespace ark
