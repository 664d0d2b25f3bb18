#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>

#include "core/base/file.hpp"
#include "core/pipeline/digest.hpp"
#include "core/repo/index.hpp"
#include "core/repo/marker.hpp"

namespace ark {

/// Below a data directory: in pg_wal, where neither base backups nor restores look.
constexpr const char* kLocalBackupsDirectory = "pg_wal/pg_ark.backups";

/// What a server that writes to an encrypted repository, and cannot read there, has to know of its
/// own backups to build on them. <id>.json is the marker, <id>.files has a line of JSON for each
/// file, path and size, and in the last line a digest of all before. One process writes.
class LocalBackups {
 public:
    explicit LocalBackups(const std::string& data_directory);

    /// nullopt where nothing is known of it. Error: corrupt.
    std::optional<BackupMarker> find(const std::string& backup_id) const;
    /// Its files with path and size, in path order; nullopt behind the last. Error: corrupt, at the
    /// end at the latest.
    std::function<std::optional<IndexEntry>()> files_of(const std::string& backup_id) const;

    /// Forgets all but these.
    void keep_only(const std::set<std::string>& backup_ids) const;

    /// Writes what is to be known of one. Without commit nothing stays.
    class Writer {
     public:
        Writer(const LocalBackups& backups, const std::string& backup_id);
        ~Writer();
        Writer(const Writer&) = delete;
        Writer& operator=(const Writer&) = delete;

        /// Files come in path order.
        void add(const IndexEntry& entry);
        /// Durable on return.
        void commit(const BackupMarker& marker);

     private:
        void write();

        const std::string path_;  ///< without an ending
        File file_;
        Sha256 digest_;
        std::string buffer_;
        bool committed_ = false;
    };

 private:
    std::string path_of(const std::string& backup_id) const { return directory_ + "/" + backup_id; }

    std::string directory_;
};

}  // namespace ark
