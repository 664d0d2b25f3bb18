#include "core/backup/local_backups.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <memory>

#include "core/base/error.hpp"
#include "core/repo/json_text.hpp"

namespace ark {

namespace {

namespace fs = std::filesystem;

constexpr size_t kMarkerLimit = 64 << 20;
constexpr size_t kBufferBytes = 256 << 10;
constexpr const char* kMarkerEnding = ".json";
constexpr const char* kFilesEnding = ".files";
constexpr const char* kDigestKey = "sha256";

Error damaged(const std::string& path, const std::string& what) {
    return {ErrorCode::corrupt, "file \"" + path + "\" is damaged", what};
}

/// Lines of files, then the digest.
class FilesReader {
 public:
    explicit FilesReader(std::string path) : path_(std::move(path)), in_(path_, std::ios::binary) {}

    std::optional<IndexEntry> next() {
        std::string line;
        if (done_)
            return std::nullopt;
        if (!std::getline(in_, line))
            throw damaged(path_, "It ends early, or cannot be read.");
        IndexEntry entry;
        std::string digest;
        with_parsed_json(line, path_, [&](const nlohmann::json& j) {
            if (j.contains(kDigestKey)) {
                digest = member<std::string>(j, kDigestKey);
            } else {
                entry.path = text_member(j, "path");
                entry.size = member<uint64_t>(j, "size");
            }
            return 0;
        });
        if (digest.empty()) {
            digest_.update(as_bytes(line + "\n"));
            return entry;
        }
        done_ = true;
        if (digest != digest_.finish())
            throw damaged(path_, "It does not match its checksum.");
        return std::nullopt;
    }

 private:
    const std::string path_;
    std::ifstream in_;
    Sha256 digest_;
    bool done_ = false;
};

}  // namespace

LocalBackups::LocalBackups(const std::string& data_directory)
    : directory_(data_directory + "/" + kLocalBackupsDirectory) {}

std::optional<BackupMarker> LocalBackups::find(const std::string& backup_id) const {
    if (backup_id.empty())
        return std::nullopt;
    const std::string path = path_of(backup_id) + kMarkerEnding;
    const auto text = read_file_if_exists(path, kMarkerLimit);
    if (!text)
        return std::nullopt;
    BackupMarker marker = parse_marker(as_text(*text), path);
    if (marker.backup_id != backup_id)
        throw damaged(path, "It is of another backup.");
    // Only such are kept here.
    marker.is_encrypted = true;
    return marker;
}

std::function<std::optional<IndexEntry>()> LocalBackups::files_of(
    const std::string& backup_id) const {
    return [reader = std::make_shared<FilesReader>(path_of(backup_id) + kFilesEnding)] {
        return reader->next();
    };
}

void LocalBackups::keep_only(const std::set<std::string>& backup_ids) const {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(directory_, error)) {
        if (!backup_ids.contains(entry.path().stem()))
            ::unlink(entry.path().c_str());
    }
}

LocalBackups::Writer::Writer(const LocalBackups& backups, const std::string& backup_id)
    : path_(backups.path_of(backup_id)) {
    const std::string& directory = backups.directory_;
    if (::mkdir(directory.c_str(), 0700) == 0) {
        fsync_directory(parent_directory(directory));
    } else if (errno != EEXIST) {
        throw system_error(errno, "could not create directory \"" + directory + "\"");
    }
    file_ = File::open(path_ + kFilesEnding, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
}

LocalBackups::Writer::~Writer() {
    if (!committed_)
        ::unlink((path_ + kFilesEnding).c_str());
}

void LocalBackups::Writer::add(const IndexEntry& entry) {
    const nlohmann::json line{{"path", json_of_text(entry.path)}, {"size", file_size(entry)}};
    buffer_ += line.dump() + "\n";
    if (buffer_.size() >= kBufferBytes)
        write();
}

void LocalBackups::Writer::write() {
    digest_.update(as_bytes(buffer_));
    file_.write_all(as_bytes(buffer_));
    buffer_.clear();
}

void LocalBackups::Writer::commit(const BackupMarker& marker) {
    write();
    const nlohmann::json last{{kDigestKey, digest_.finish()}};
    file_.write_all(as_bytes(last.dump() + "\n"));
    file_.fsync();
    write_file_durably(path_ + kMarkerEnding, as_bytes(to_json(marker)), 0600);
    committed_ = true;
}

}  // namespace ark
