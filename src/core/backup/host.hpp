#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/pgdata/relation_name.hpp"
#include "core/pgdata/wal_name.hpp"
#include "core/repo/census.hpp"
#include "core/repo/marker.hpp"

namespace ark {

/// What is asked for: one backup of one cluster.
struct BackupRequest {
    std::string id;
    std::string type = "full";  ///< full, incremental, differential
    std::string backup_type = "full";
    std::string reason;
    std::string created_by;
    std::string role;
    std::string superuser;  ///< name of the bootstrap superuser
    UnixMicros started_at = 0;
    std::string data_directory;
    std::string cluster;  ///< directory name in the repository
    uint64_t system_identifier = 0;
    std::string pg_version;
    uint32_t pg_version_num = 0;
    std::map<std::string, std::string> config_files;  ///< config_file, hba_file, ident_file
    std::vector<std::string> config_includes;
    double audit_fraction = 0.01;        ///< of the blocks called unchanged, which are read
    std::set<std::string> distrusted{};  ///< backups that failed a test: nothing is built on them
    int jobs = 2;
    int compression_level = 3;
    int wal_timeout_seconds = 600;
};

/// pg_backup_start's answer.
struct BackupStart {
    Lsn lsn = 0;
    TimelineId timeline = 0;
};

/// pg_backup_stop's answer.
struct BackupStop {
    Lsn lsn = 0;
    TimelineId timeline = 0;
    UnixMicros stopped_at = 0;
    std::string label;
    std::string snapshot;
    Lsn flush_lsn = 0;
};

/// A page that the change tables call unchanged, and whose LSN says otherwise.
struct AuditMiss {
    std::string path;    ///< of the file, relative to the data directory
    uint64_t block = 0;  ///< in the relation
    Lsn lsn = 0;         ///< of the page
};

enum class BackupPhase { listing, copying, waiting_for_wal, finishing };
const char* name_of(BackupPhase phase) noexcept;

struct BackupProgress {
    BackupPhase phase = BackupPhase::listing;
    uint64_t files = 0;
    uint64_t files_total = 0;
    uint64_t bytes = 0;
    uint64_t bytes_total = 0;
    uint64_t stored = 0;
    std::string segment;  ///< the one waited for
};

using TableSink = std::function<void(const TableState&)>;
/// A line of the backup's answers (repo/answers.hpp), as the server wrote it.
using AnswerSink = std::function<void(const std::string& line)>;

/// The SQL side of a backup, as the job sees it: the server module at the other end of the pipe.
/// Called from the job's main thread only. Each function throws Error (cancelled) once the other
/// side has gone or asked for the end.
class BackupHost {
 public:
    BackupHost() = default;
    BackupHost(const BackupHost&) = delete;
    BackupHost& operator=(const BackupHost&) = delete;
    virtual ~BackupHost() = default;

    /// Says that the repository is ready; returns when pg_backup_start has. The server's tables
    /// after that are given to `tables`, if it can tell.
    virtual BackupStart start(const TableSink& tables) = 0;
    /// pg_control, read whole under ControlFileLock.
    virtual Bytes control_file() = 0;
    /// Says that every file is copied; returns when pg_backup_stop has. The server's tables after
    /// that are given to `tables`, and what the databases answered before to `answers`, if it can
    /// tell.
    virtual BackupStop stop(const TableSink& tables, const AnswerSink& answers) = 0;

    /// May drop some: the host sends a few a second.
    virtual void progress(const BackupProgress& progress) = 0;
    /// A page of a file that had changed, though no WAL says so. Its file is copied whole.
    virtual void audit_miss(const AuditMiss& miss) = 0;
    virtual void corrupt_page(const CorruptPage& page, const RelationPath& relation) = 0;
    virtual void warning(const Error& warning) = 0;
    /// Waits up to `millis` for news from the other side. Error: cancelled.
    virtual void wait(int millis) = 0;
};

}  // namespace ark
