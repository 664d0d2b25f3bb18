#include "core/verify/change_audit_job.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "core/backup/change_audit.hpp"
#include "core/backup/parent.hpp"
#include "core/base/error.hpp"
#include "core/pgdata/control_file.hpp"
#include "core/repo/index.hpp"

namespace ark {

namespace {

BackupMarker marker_of(Repository& repository, const std::string& cluster,
                       const std::string& backup_id) {
    auto found = find_backup(repository, cluster, backup_id);
    if (found)
        return std::move(*found);
    throw Error(ErrorCode::not_found, "backup \"" + backup_id + "\" does not exist", {},
                "\"pg_ark list\" shows which there are.");
}

void refuse(const std::string& message, const std::string& hint = {}) {
    throw Error(ErrorCode::refused, message, {}, hint);
}

void check_is_ours(const BackupMarker& backup, const std::string& data_directory) {
    if (backup.parent.empty())
        refuse("backup \"" + backup.backup_id + "\" is a full one: it calls nothing unchanged",
               "Incremental and differential ones have a parent in ark.backup_log.");
    const ControlFile control = read_control_file(data_directory);
    if (control.system_identifier != backup.system_identifier)
        refuse("backup \"" + backup.backup_id + "\" is of another cluster");
    const TimelineHistory way = own_history(data_directory, control.timeline);
    if (!way.contains_range(backup.timeline, backup.start_lsn, backup.stop_lsn))
        refuse("the WAL of backup \"" + backup.backup_id +
               "\" is not part of this server's history");
}

class Audit {
 public:
    Audit(Repository& repository, const BackupMarker& backup, const BackupMarker& parent,
          const std::string& data_directory, VerifyListener& listener)
        : repository_(repository),
          backup_(backup),
          data_directory_(data_directory),
          listener_(listener),
          audit_(1, parent.start_lsn, backup.start_lsn,
                 {backup.block_size, backup.relation_segment_blocks}) {}

    void run() {
        IndexReader index(repository_, backup_.cluster, backup_.backup_id, backup_.index_sha256);
        while (const auto entry = index.next()) {
            if (entry->incremental)
                look_at(*entry);
            listener_.progress({VerifyPhase::files, bytes_, backup_.database_bytes});
        }
    }

    const ChangeAudit::Findings& findings() const { return audit_.findings(); }
    uint64_t files() const { return files_; }
    uint64_t gone() const { return gone_; }

 private:
    void look_at(const IndexEntry& entry) {
        const auto relation = parse_relation_path(entry.path);
        const auto file = File::open_if_exists(data_directory_ + "/" + entry.path,
                                               O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
        if (!relation || !file || !S_ISREG(file->stat().st_mode)) {
            ++gone_;
            return;
        }
        FileChanges changes;
        changes.runs = entry.incremental->runs;
        // What came behind its end later has later LSNs.
        changes.length = static_cast<uint32_t>(entry.incremental->file_size / backup_.block_size);
        audit_.passes(*file, entry.path, *relation, changes, [this] {
            listener_.progress({VerifyPhase::files, bytes_, backup_.database_bytes});
            return false;
        });
        ++files_;
        bytes_ += entry.incremental->file_size;
    }

    Repository& repository_;
    const BackupMarker& backup_;
    const std::string& data_directory_;
    VerifyListener& listener_;
    ChangeAudit audit_;
    uint64_t files_ = 0;
    uint64_t gone_ = 0;
    uint64_t bytes_ = 0;
};

Finding finding_of(const AuditMiss& miss) {
    Finding finding;
    finding.check = "change_audit";
    finding.path = miss.path;
    finding.block = miss.block;
    finding.message = "the page had changed, though no WAL says so";
    finding.detail = "Its LSN is " + to_text(miss.lsn) + ".";
    return finding;
}

}  // namespace

Evidence audit_changes(Repository& repository, const ChangeAuditRequest& request,
                       VerifyListener& listener) {
    Evidence evidence;
    evidence.test_id = request.test_id;
    evidence.kind = "change_audit";
    evidence.backup_id = request.backup_id;
    evidence.cluster = request.cluster;
    evidence.host = make_writer({}).host;
    evidence.program_version = PG_ARK_VERSION;
    evidence.started_at = now_micros();
    listener.progress({VerifyPhase::marker, 0, 0});
    const BackupMarker backup = marker_of(repository, request.cluster, request.backup_id);
    check_is_ours(backup, request.data_directory);
    const BackupMarker parent = marker_of(repository, request.cluster, backup.parent);
    Audit audit(repository, backup, parent, request.data_directory, listener);
    audit.run();
    for (const AuditMiss& miss : audit.findings().missed)
        evidence.errors.add(finding_of(miss));
    evidence.errors.count = audit.findings().misses;
    evidence.success = audit.findings().misses == 0;
    if (audit.gone() > 0)
        evidence.notes.push_back(std::to_string(audit.gone()) +
                                 " files are gone since the backup and were not looked at");
    evidence.verified = {{"files", audit.files()},
                         {"blocks", audit.findings().blocks},
                         {"misses", audit.findings().misses}};
    evidence.completed_at = now_micros();
    return evidence;
}

}  // namespace ark
