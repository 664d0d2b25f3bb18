#include "core/backup/moved_databases.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/pgdata/wal_reader.hpp"
#include "core/repo/object.hpp"
#include "core/repo/vault_store.hpp"

namespace ark {

namespace {

namespace fs = std::filesystem;

constexpr uint32_t kDefaultTablespace = 1663;
constexpr uint64_t kMostStored = (1ULL << 30) + (1ULL << 24);

std::optional<uint32_t> oid_of(const fs::path& path) {
    const std::string name = path.filename().string();
    uint32_t oid = 0;
    const auto result = std::from_chars(name.data(), name.data() + name.size(), oid);
    const bool whole = result.ec == std::errc{} && result.ptr == name.data() + name.size();
    return whole && oid != 0 ? std::optional(oid) : std::nullopt;
}

DirectoryIdentity identity_of(const fs::path& directory) {
    struct statx st {};
    if (::statx(AT_FDCWD, directory.c_str(), 0, STATX_INO | STATX_BTIME, &st) != 0)
        return {};
    const bool born = (st.stx_mask & STATX_BTIME) != 0;
    return {st.stx_ino, born ? st.stx_btime.tv_sec : 0, born ? st.stx_btime.tv_nsec : 0};
}

// What vanishes meanwhile is not there; a directory that cannot be read stops the copying anyway.
void add_places(const fs::path& directory, uint32_t tablespace, DatabasePlaces& out) {
    std::error_code gone;
    for (const auto& entry : fs::directory_iterator(directory, gone)) {
        if (const auto database = oid_of(entry.path()))
            out.emplace(std::pair(tablespace, *database), identity_of(entry.path()));
    }
}

class RepositorySegments {
 public:
    RepositorySegments(Repository& repository, const BackupRequest& request, TimelineId timeline,
                       uint64_t segment_size, BackupHost& host)
        : repository_(repository),
          cluster_(request.cluster),
          data_directory_(request.data_directory),
          timeline_(timeline),
          segment_size_(segment_size),
          host_(host) {}

    std::optional<ByteView> read(uint64_t number) {
        host_.wait(0);  // it may be cancelled
        const std::string name = segment_name({timeline_, number}, segment_size_);
        const std::string place = place::segment(name);
        if (only_writes(repository_.store(), cluster_))
            return read_own(name);
        const auto stored = repository_.store().get(cluster_ + "/" + place, kMostStored);
        if (!stored)
            return std::nullopt;
        segment_ = open_object(*stored, ObjectKind::wal, place, segment_size_,
                               vault_of(repository_.store(), cluster_).get());
        return segment_;
    }

 private:
    // The server's file of it, where it is what the repository has.
    ByteView read_own(const std::string& name) {
        const auto header = read_header(repository_.store(), cluster_ + "/" + place::segment(name));
        auto content = read_file_if_exists(data_directory_ + "/pg_wal/" + name, segment_size_);
        const bool same = header && content &&
                          has_content(*header, content->size(), content_hash(*content),
                                      vault_of(repository_.store(), cluster_).get())
                              .value_or(false);
        if (!same) {
            throw Error(
                ErrorCode::refused,
                "a database came or went while the backup ran, and this host cannot look "
                "whether the backup has all of it",
                "WAL segment \"" + name +
                    "\" is not in pg_wal any more, and what is in the repository this host "
                    "cannot read: it has recipients alone.",
                "Take the backup again, not beside CREATE, ALTER or DROP DATABASE; a larger "
                "wal_keep_size helps, too.");
        }
        segment_ = std::move(*content);
        return segment_;
    }

    Repository& repository_;
    const std::string cluster_;
    const std::string data_directory_;
    const TimelineId timeline_;
    const uint64_t segment_size_;
    BackupHost& host_;
    Bytes segment_;
};

// A database that was moved and moved back has another directory.
bool is_still_there(const DatabasePlaces::value_type& place, const DatabasePlaces& in) {
    const auto found = in.find(place.first);
    return found != in.end() && found->second == place.second;
}

bool any_missing(const DatabasePlaces& from, const DatabasePlaces& in) {
    return std::ranges::any_of(from, [&](const auto& place) { return !is_still_there(place, in); });
}

}  // namespace

DatabasePlaces database_places(const std::string& data_directory) {
    DatabasePlaces out;
    add_places(data_directory + "/base", kDefaultTablespace, out);
    std::error_code gone;
    for (const auto& link : fs::directory_iterator(data_directory + "/pg_tblspc", gone)) {
        const auto tablespace = oid_of(link.path());
        if (!tablespace)
            continue;
        for (const auto& version : fs::directory_iterator(link.path(), gone)) {
            if (version.path().filename().string().starts_with("PG_"))
                add_places(version.path(), *tablespace, out);
        }
    }
    return out;
}

void check_moved_databases(Repository& repository, const BackupRequest& request,
                           const BackupStart& start, const BackupStop& stop, uint64_t segment_size,
                           const DatabasePlaces& before, const DatabasePlaces& after,
                           BackupHost& host) {
    if (!any_missing(before, after) || !any_missing(after, before))
        return;
    RepositorySegments segments(repository, request, start.timeline, segment_size, host);
    WalReader reader(segment_size, [&](uint64_t number) { return segments.read(number); });
    reader.seek(start.lsn);
    for (auto record = reader.next(); record && record->lsn < stop.lsn; record = reader.next()) {
        const auto copy = decode_database_copy(*record);
        if (!copy)
            continue;
        const auto source = before.find({copy->source_tablespace, copy->source_database});
        if (source == before.end() || is_still_there(*source, after))
            continue;
        throw Error(
            ErrorCode::refused, "a database was moved while the backup ran",
            "Database " + std::to_string(copy->database) + " was copied from database " +
                std::to_string(copy->source_database) + " in tablespace " +
                std::to_string(copy->source_tablespace) +
                ", which has gone since: recovery from this backup would leave it empty.",
            "Take the backup again, not beside ALTER DATABASE … SET TABLESPACE, or a DROP DATABASE "
            "of what CREATE DATABASE … STRATEGY file_copy has just copied.");
    }
    // Without all of it, it is not known.
    if (reader.position() < stop.lsn) {
        throw Error(ErrorCode::corrupt,
                    "the WAL of the backup cannot be read beyond " + to_text(reader.position()),
                    reader.stop().reason + ".");
    }
}

}  // namespace ark
