#include "core/restore/kept_wal.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/pgdata/wal_segment.hpp"
#include "core/pipeline/content_hash.hpp"
#include "core/repo/vault_store.hpp"
#include "core/restore/tree.hpp"

namespace ark {

namespace {

constexpr uint64_t kHistoryLimit = 16 << 20;

// xlp_magic and xlp_pageaddr of XLogPageHeaderData (src/include/access/xlog_internal.h).
constexpr size_t kPageAddressOffset = 8;
constexpr size_t kPageHeaderBytes = 24;

struct FileContent {
    Hash128 hash;
    uint64_t size = 0;
};

FileContent content_of_file(const std::string& path) {
    const File file = File::open(path, O_RDONLY);
    ContentHash hash;
    Bytes buffer(1 << 20);
    for (uint64_t offset = 0;;) {
        const size_t n = file.pread_full(buffer, offset);
        hash.update(ByteView(buffer).first(n));
        offset += n;
        if (n < buffer.size())
            return {hash.finish(), offset};
    }
}

// False for a recycled segment: its first page is still that of its former name.
bool begins_with_own_page(const std::string& path, uint64_t address) {
    const auto file = File::open_if_exists(path, O_RDONLY);
    Bytes header(kPageHeaderBytes);
    if (!file || file->pread_full(header, 0) != header.size())
        return false;
    return load<uint64_t>(header, kPageAddressOffset) == address;
}

bool repository_has_segment(Repository& repository, const std::string& cluster,
                            const std::string& name, const std::string& path) {
    ObjectStore& store = repository.store();
    const auto header = read_header(store, cluster + "/" + place::segment(name));
    if (!header)
        return false;
    const FileContent local = content_of_file(path);
    return has_content(*header, local.size, local.hash, vault_of(store, cluster).get())
        .value_or(false);
}

// The server's last segment may be there in pieces. What counts of the file is what recovery would
// find valid: behind it are zeros, or what a recycled file held before.
bool repository_has_pieces(ArchivedWal& wal, const std::string& name, const std::string& path,
                           uint64_t segment_size) {
    const Bytes pieces = wal.pieces_of(name);
    if (pieces.empty())
        return false;
    const Bytes local = read_file(path, segment_size);
    if (local.size() != segment_size)
        return false;
    const uint64_t number = parse_wal_file_name(name).value().segment_number(segment_size);
    const size_t valid = end_of_valid_pages(local, number) - number * segment_size;
    return valid >= kLongPageHeader && valid <= pieces.size() &&
           std::ranges::equal(ByteView(local).first(valid), ByteView(pieces).first(valid));
}

bool repository_has_history(Repository& repository, const std::string& cluster, TimelineId timeline,
                            const std::string& path) {
    const auto stored = read_small(repository.store(), cluster, ObjectKind::history,
                                   place::history(timeline), kHistoryLimit);
    return stored && *stored == read_file(path, kHistoryLimit);
}

bool is_to_be_kept(Repository& repository, ArchivedWal& wal, const std::string& cluster,
                   const std::string& directory, const std::string& name, uint64_t segment_size) {
    const auto parsed = parse_wal_file_name(name);
    if (!parsed)
        return false;
    const std::string path = directory + "/" + name;
    switch (parsed->kind) {
        case WalFileKind::history:
            return !repository_has_history(repository, cluster, parsed->timeline, path);
        case WalFileKind::backup_label:
            return false;
        case WalFileKind::partial:
            return true;
        case WalFileKind::segment:
            break;
    }
    const uint64_t address = parsed->segment_number(segment_size) * segment_size;
    if (!begins_with_own_page(path, address))
        return false;
    return !repository_has_segment(repository, cluster, name, path) &&
           !repository_has_pieces(wal, name, path, segment_size);
}

void move_file(const std::string& from, const std::string& to) {
    if (::rename(from.c_str(), to.c_str()) == 0)
        return;
    if (errno != EXDEV)
        throw system_error(errno, "could not move file \"" + from + "\"");
    std::error_code error;
    std::filesystem::copy_file(from, to, error);
    if (error)
        throw system_error(error.value(), "could not copy file \"" + from + "\"");
    File::open(to, O_RDWR).fsync();
}

}  // namespace

std::string wal_link_of(const std::string& data_directory) {
    const std::string path = data_directory + "/pg_wal";
    struct stat st {};
    if (::lstat(path.c_str(), &st) != 0 || !S_ISLNK(st.st_mode))
        return {};
    return canonical_path(path);
}

std::vector<std::string> wal_not_in_repository(Repository& repository, ArchivedWal& wal,
                                               const std::string& cluster,
                                               const std::string& data_directory,
                                               uint64_t segment_size) {
    const std::string directory = data_directory + "/pg_wal";
    struct stat st {};
    if (::lstat(directory.c_str(), &st) != 0 || !S_ISDIR(st.st_mode))
        return {};
    std::vector<std::string> names;
    for (const std::string& name : names_in_directory(directory)) {
        if (is_to_be_kept(repository, wal, cluster, directory, name, segment_size)) {
            names.push_back(name);
        }
    }
    std::sort(names.begin(), names.end());
    return names;
}

std::string make_kept_wal_directory(const std::string& data_directory) {
    std::string time = to_iso8601(now_micros()).substr(0, 19);
    std::erase_if(time, [](char c) { return c == '-' || c == ':'; });
    std::string target = data_directory + ".kept-wal-" + time + "Z";
    if (::mkdir(target.c_str(), 0700) != 0) {
        throw system_error(
            errno, "could not create directory \"" + target + "\"",
            "WAL that the repository does not have is moved there. Where that cannot "
            "be, move the files out of " +
                data_directory + "/pg_wal yourself and run the command again.");
    }
    fsync_directory(parent_directory(target));
    return target;
}

void move_wal(const std::string& data_directory, const std::vector<std::string>& names,
              const std::string& target) {
    const std::string directory = data_directory + "/pg_wal";
    for (const std::string& name : names) {
        move_file(join_path(directory, name), join_path(target, name));
    }
    fsync_directory(target);
}

}  // namespace ark
