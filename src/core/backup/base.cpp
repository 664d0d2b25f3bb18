#include "core/backup/base.hpp"

#include <algorithm>

#include "core/backup/local_backups.hpp"
#include "core/backup/unfinished.hpp"
#include "core/base/error.hpp"
#include "core/repo/vault_store.hpp"

namespace ark {

namespace {

// A full backup would read all files, compress and store them: reading half as much WAL is less.
constexpr uint64_t kWorthReading = 1 << 30;

/// The repository's backups, as this host can know them.
class KnownBackups {
 public:
    KnownBackups(Repository& repository, const BackupRequest& request)
        : repository_(repository),
          cluster_(request.cluster),
          local_(request.data_directory),
          can_read_(can_read(repository, request.cluster)) {}

    std::optional<BackupMarker> find(const std::string& backup_id) const {
        if (can_read_)
            return find_chain_link(repository_, cluster_, backup_id);
        if (!outline_backup(repository_, cluster_, backup_id))
            return std::nullopt;
        auto known = local_.find(backup_id);
        if (!known)
            throw Error(ErrorCode::unsupported,
                        "backup " + backup_id +
                            " cannot be read with encryption_recipients alone, and this server "
                            "has not kept what it needs of it");
        return known;
    }

    NextEntry files_of(const BackupMarker& backup) const {
        if (!can_read_)
            return local_.files_of(backup.backup_id);
        auto index = std::make_shared<IndexReader>(repository_, cluster_, backup.backup_id,
                                                   backup.index_sha256);
        return [index] { return index->next(); };
    }

 private:
    Repository& repository_;
    const std::string& cluster_;
    const LocalBackups local_;
    const bool can_read_;
};

}  // namespace

bool can_read(Repository& repository, const std::string& cluster) {
    const auto vault = vault_of(repository.store(), cluster);
    return !vault || vault->can_read();
}

namespace {

// Nothing that a full backup needs: who may not list, for example, may take one all the same.
void adopt(Repository& repository, const ParentQuestion& question, BackupBase& base) {
    try {
        base.parent = adopt_unfinished(repository, question, base.remains_unused);
        if (base.parent)
            base.chain = {base.parent->backup_id};
    } catch (const Error& error) {
        if (error.code != ErrorCode::permission_denied)
            throw;
    }
}

/// Finds a parent, in the order in which they are better.
BackupBase choose_base(Repository& repository, const ParentQuestion& question,
                       const KnownBackups& known) {
    BackupBase base;
    if (question.request.type != kTypeFull) {
        ParentAnswer answer =
            choose_parent(repository, question,
                          [&](const std::string& backup_id) { return known.find(backup_id); });
        base.parent = std::move(answer.parent);
        base.chain = std::move(answer.chain);
        base.full_because = std::move(answer.why_not);
    }
    if (!base.parent && can_read(repository, question.request.cluster))
        adopt(repository, question, base);
    return base;
}

// The backup is a full one, and why.
BackupBase without(BackupBase base, const std::string& reason, const std::string& type) {
    if (base.parent->type == kTypeUnfinished)
        base.remains_unused = reason;
    if (type != kTypeFull && base.full_because.empty())
        base.full_because = reason;
    base.parent.reset();
    base.chain.clear();
    base.plan.reset();
    return base;
}

}  // namespace

BackupBase find_base(Repository& repository, const BackupRequest& request,
                     const ControlFile& control, const BackupStart& start, const FileList& files,
                     const FindChanges& find_changes) {
    const auto vault = vault_of(repository.store(), request.cluster);
    const ParentQuestion question{request, control, start,
                                  own_history(request.data_directory, start.timeline),
                                  vault && vault->encrypts()};
    const KnownBackups known(repository, request);
    BackupBase base = choose_base(repository, question, known);
    if (!base.parent)
        return base;
    const BackupRange range{base.parent->timeline, base.parent->start_lsn, base.parent->stop_lsn};
    ChangeAnswer changes =
        find_changes({question.way, request.system_identifier, range, start.lsn,
                      base.parent->type != kTypeUnfinished},
                     control.wal_segment_size, std::max(kWorthReading, files.total_bytes() / 2));
    if (!changes.table)
        return without(std::move(base), changes.why_not, request.type);
    try {
        base.plan = std::make_unique<IncrementalPlan>(*base.parent, known.files_of(*base.parent),
                                                      files, std::move(*changes.table), control);
    } catch (const Error& error) {
        if (error.code != ErrorCode::corrupt && error.code != ErrorCode::not_found)
            throw;
        return without(std::move(base),
                       "the parent's list of files cannot be read: " + error.message, request.type);
    }
    base.full_because.clear();
    return base;
}

}  // namespace ark
