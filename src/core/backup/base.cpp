#include "core/backup/base.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "core/repo/vault_store.hpp"

namespace ark {

namespace {

// A full backup would read all files, compress and store them: reading half as much WAL is less.
constexpr uint64_t kWorthReading = 1 << 30;

BackupBase full_because(std::string reason) {
    BackupBase out;
    out.full_because = std::move(reason);
    return out;
}

}  // namespace

BackupBase find_base(Repository& repository, const BackupRequest& request,
                     const ControlFile& control, const BackupStart& start, const FileList& files,
                     const FindChanges& find_changes) {
    const auto vault = vault_of(repository.store(), request.cluster);
    ParentQuestion question{request, control, start,
                            own_history(request.data_directory, start.timeline),
                            vault && vault->encrypts()};
    ParentAnswer parent = choose_parent(repository, question, [&](const std::string& backup_id) {
        return find_backup(repository, request.cluster, backup_id);
    });
    if (!parent.parent)
        return full_because(std::move(parent.why_not));
    BackupBase base;
    base.parent = std::move(parent.parent);
    const BackupRange range{base.parent->timeline, base.parent->start_lsn, base.parent->stop_lsn};
    ChangeAnswer changes =
        find_changes({question.way, request.system_identifier, range, start.lsn},
                     control.wal_segment_size, std::max(kWorthReading, files.total_bytes() / 2));
    if (!changes.table)
        return full_because(std::move(changes.why_not));
    try {
        IndexReader index(repository, request.cluster, base.parent->backup_id,
                          base.parent->index_sha256);
        base.plan = std::make_unique<IncrementalPlan>(
            *base.parent, [&] { return index.next(); }, files, std::move(*changes.table), control);
    } catch (const Error& error) {
        if (error.code != ErrorCode::corrupt && error.code != ErrorCode::not_found)
            throw;
        return full_because("the parent's list of files cannot be read: " + error.message);
    }
    return base;
}

}  // namespace ark
