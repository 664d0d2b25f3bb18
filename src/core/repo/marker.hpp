#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.hpp"
#include "core/pgdata/wal_name.hpp"
#include "core/repo/object.hpp"
#include "core/repo/repository.hpp"

namespace ark {

struct Tablespace {
    uint32_t oid = 0;
    std::string location;  ///< absolute path on the source

    bool operator==(const Tablespace&) const = default;
};

struct CorruptPage {
    std::string path;    ///< relative to the data directory
    uint64_t block = 0;  ///< in the relation, earlier segment files included
    std::string reason;

    bool operator==(const CorruptPage&) const = default;
};

/// One pack as it is stored: what a reader can check without decompressing.
struct PackInfo {
    uint64_t stored_bytes = 0;
    std::string sha256;  ///< of the whole object, header included

    bool operator==(const PackInfo&) const = default;
};

constexpr const char* kTypeFull = "full";
constexpr const char* kTypeIncremental = "incremental";    ///< on the newest backup
constexpr const char* kTypeDifferential = "differential";  ///< on the newest full one

/// Not a backup, though it has a marker: what a full one that failed has finished, and another one
/// builds on. It may lack files, pg_control among them.
constexpr const char* kTypeUnfinished = "unfinished";

/// What an incremental backup found.
struct IncrementalSummary {
    uint64_t whole_files = 0;      ///< copied whole, the small ones that always are among them
    uint64_t changed_files = 0;    ///< some of their blocks are held
    uint64_t unchanged_files = 0;  ///< nothing of them is
    uint64_t changed_blocks = 0;   ///< held of changed files
    uint64_t audited_blocks = 0;   ///< called unchanged, and read all the same
    uint64_t audit_misses = 0;     ///< of these: pages that had changed. Their files are whole

    bool operator==(const IncrementalSummary&) const = default;
};

/// backup.json: the commit marker. A backup exists when this is there.
struct BackupMarker {
    std::string backup_id;
    std::string type = "full";         ///< full, incremental, differential
    std::string backup_type = "full";  ///< what users call it: manual, full…
    std::string reason;
    std::string created_by;  ///< uuid or empty
    std::string role;        ///< the role that asked
    std::string superuser;   ///< the bootstrap superuser's name: whom a scratch server lets in
    std::string parent;      ///< empty for a full backup
    std::string parent_index_sha256;  ///< of it: which backup of that name it is
    bool resumed = false;  ///< a full one was asked for, and the parent is what a failed one left
    std::string compacted_from;  ///< the incremental one that this full one was made of
    std::string full_because;    ///< why it is full where another type was asked for
    std::optional<IncrementalSummary> changes;  ///< of incremental and differential ones
    UnixMicros started_at = 0;
    UnixMicros stopped_at = 0;    ///< pg_backup_stop returned
    UnixMicros completed_at = 0;  ///< this marker was written
    TimelineId timeline = 0;
    Lsn start_lsn = 0;
    Lsn stop_lsn = 0;
    std::string start_segment;
    std::string stop_segment;
    std::string stop_snapshot;  ///< pg_current_snapshot() after the stop: which xids end after it
    uint64_t system_identifier = 0;
    std::string cluster;     ///< directory name in the repository
    std::string pg_version;  ///< "15.8"
    uint32_t pg_version_num = 0;
    uint32_t catalog_version = 0;
    uint32_t control_version = 0;
    uint64_t wal_segment_size = 0;
    uint32_t block_size = 0;
    uint32_t relation_segment_blocks = 0;
    uint32_t data_checksum_version = 0;
    bool page_checksums_verified = false;
    uint64_t pages_verified = 0;
    uint64_t corrupt_page_count = 0;
    std::vector<CorruptPage> corrupt_pages;  ///< the first 1000
    uint64_t files = 0;                      ///< regular files
    uint64_t database_bytes = 0;             ///< plaintext of all files
    uint64_t stored_bytes = 0;               ///< all objects of this backup but the marker
    std::vector<PackInfo> packs;             ///< in number order, without a gap
    std::string manifest_sha256;             ///< of the exact manifest bytes
    std::string index_sha256;
    std::string census_sha256;        ///< empty: there is no census
    std::string answers_sha256 = {};  ///< empty: there are no answers
    std::vector<Tablespace> tablespaces;
    std::string data_directory;  ///< of the source
    std::map<std::string, std::string>
        config_files;  ///< config_file, hba_file, ident_file: absolute
    std::vector<std::string> config_includes;
    bool has_config_archive = false;
    std::string program_version;
    Writer writer;
    bool is_encrypted = false;  ///< as it was found in the repository; not part of the text
};

/// The JSON object of docs/repository-format.md "Marker", sealed with a digest of itself; text that
/// is not UTF-8 is written as {"hex": "…"}.
std::string to_json(const BackupMarker& marker);
/// `name`: for messages. Error: corrupt, naming the field; unsupported for a newer format.
BackupMarker parse_marker(std::string_view text, const std::string& name);

/// What a backup's id tells: "manual_20261120_021500_9f3a01bc".
struct BackupName {
    std::string backup_type;
    UnixMicros started_at = 0;
};
/// nullopt for an id of another form.
std::optional<BackupName> parse_backup_id(const std::string& backup_id);

/// What a backup is known by, where its marker may be unreadable.
struct BackupOutline {
    std::string backup_id;
    BackupRange range;
    UnixMicros completed_at = 0;
    std::optional<BackupMarker> marker;  ///< nullopt without the key
};

/// nullopt when there is no marker of this id. Of an encrypted one the clear header tells, where
/// there is no key, or a host only writes. Error: corrupt.
std::optional<BackupOutline> outline_backup(Repository& repository, const std::string& cluster,
                                            const std::string& backup_id);

/// Every backup of the cluster that has a marker, oldest first by start LSN and timeline. A marker
/// that cannot be read is an Error (corrupt) unless `bad` is given: then it is named there; one
/// that is encrypted is an Error (invalid_key) where its key is not there.
std::vector<BackupMarker> list_backups(Repository& repository, const std::string& cluster,
                                       std::vector<std::string>* bad = nullptr);
/// nullopt when there is no marker of this id. Error: corrupt. From here on the cluster's vault
/// takes no object of this backup that is not encrypted as its marker is (Vault::expect_below).
std::optional<BackupMarker> find_backup(Repository& repository, const std::string& cluster,
                                        const std::string& backup_id);
/// The same, and what unfinished backups have left (kTypeUnfinished), on which others build. All
/// other functions here pass over those.
std::optional<BackupMarker> find_chain_link(Repository& repository, const std::string& cluster,
                                            const std::string& backup_id);

}  // namespace ark
