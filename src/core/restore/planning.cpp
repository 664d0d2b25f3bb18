#include "core/restore/planning.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <map>

#include "core/base/error.hpp"
#include "core/repo/vault_store.hpp"
#include "core/restore/kept_wal.hpp"
#include "core/restore/server_program.hpp"
#include "core/restore/tree.hpp"

namespace ark {

namespace {

// Replaying begins with a few segments in pg_wal.
constexpr uint64_t kWalSegmentsOfRoom = 4;

bool exists(const std::string& path) {
    struct stat st {};
    return ::lstat(path.c_str(), &st) == 0;
}

// A warning where the directory has yet to be made, empty where all is well. Error: refused when it
// is taken.
std::string check_later_tablespace(const LaterTablespace& created, Lsn end_of_recovery,
                                   const std::string& location,
                                   const std::string& version_directory) {
    const std::string what = "tablespace " + std::to_string(created.oid) +
                             ", created after the backup began, at LSN " + to_text(created.lsn);
    if (exists(join_path(location, version_directory))) {
        throw Error(
            ErrorCode::refused,
            "recovery would create a tablespace in \"" + location +
                "\", where another cluster seems to have one",
            "It is " + what + ". Its place cannot be mapped." +
                (created.lsn >= end_of_recovery
                     ? " That is after the target, but in a segment that the server asks for."
                     : ""),
            "Choose a target two WAL segments before it was created, or restore on another "
            "host. If no cluster uses the directory, move it away.");
    }
    if (exists(location) || created.lsn >= end_of_recovery)
        return {};
    return "directory \"" + location + "\" does not exist: " + what +
           ", needs it. Make it, for the user that runs PostgreSQL, before you start the server";
}

// Where recovery will have stopped at the latest, as far as it is known.
Lsn end_of_recovery(const Resolved& source, WalOnWay& wal) {
    switch (source.target.kind) {
        case TargetKind::immediate:
            return source.backup.stop_lsn;
        case TargetKind::lsn:
        case TargetKind::name:
            return source.target.lsn;
        case TargetKind::xid:
            return source.stops_at_transaction->end;
        case TargetKind::time:
            if (const auto first = wal.first_transaction_after(
                    source.target.time, source.target.exclusive, source.backup.stop_lsn)) {
                return first->lsn;
            }
            break;
        case TargetKind::latest:
            break;
    }
    return kMaxLsn;
}

// A tablespace of the cluster that is replaced, which the backup does not have but replay makes
// again.
bool take_abandoned(Destination& destination, const std::string& location,
                    const std::string& version_directory) {
    if (std::erase(destination.abandoned_tablespaces, location) == 0)
        return false;
    const std::string old = join_path(location, version_directory);
    if (exists(old))
        destination.old_tablespace_directories.push_back(old);
    return true;
}

// What lies behind the target may be damaged, which is no matter for recovery as long as the server
// does not look ahead.
std::vector<LaterTablespace> tablespaces_created(ArchivedWal& archive, RestorePlan& plan, Lsn end) {
    const Resolved& source = plan.source;
    const uint64_t size = source.backup.wal_segment_size;
    const Lsn from = source.backup.start_lsn;
    try {
        return archive.along(source.way, size, kNoLastSegment)->tablespaces_created(from, kMaxLsn);
    } catch (const Error& error) {
        if (error.code != ErrorCode::corrupt || end == kMaxLsn)
            throw;
    }
    plan.read_ahead = false;
    return archive.along(source.way, size, end / size)->tablespaces_created(from, kMaxLsn);
}

// Replay makes tablespaces created since the backup's start at their original paths. wal-get stops
// a recovery that would destroy another cluster's; where the WAL is short, look before anything is
// written.
void look_for_created_tablespaces(ArchivedWal& archive, RestorePlan& plan) {
    constexpr uint64_t kShort = 1ULL << 30;
    const Resolved& source = plan.source;
    if (source.wal_segments * source.backup.wal_segment_size > kShort)
        return;
    const uint64_t segment_size = source.backup.wal_segment_size;
    const auto wal = archive.along(source.way, segment_size, kNoLastSegment);
    const Lsn end = end_of_recovery(source, *wal);
    const std::string version_directory = tablespace_version_directory(source.backup);
    const auto& own = plan.destination.tablespaces;
    for (const LaterTablespace& created : tablespaces_created(archive, plan, end)) {
        if (!created.location.starts_with('/'))
            continue;  // in place: below the data directory
        const std::string location = canonical_path(created.location);
        const bool is_own = std::any_of(own.begin(), own.end(),
                                        [&](const auto& t) { return t.location == location; });
        if (is_own || take_abandoned(plan.destination, location, version_directory))
            continue;
        // wal-get gives out no segment in which a taken place is made, wherever recovery is to
        // stop, and the server looks ahead in more segments than it replays.
        if (created.lsn >= end && created.lsn / segment_size > end / segment_size + 1) {
            if (exists(join_path(location, version_directory)))
                plan.read_ahead = false;
            continue;
        }
        const std::string warning =
            check_later_tablespace(created, end, location, version_directory);
        if (!warning.empty())
            plan.warnings.push_back(warning);
    }
}

void check_room_for(const RestorePlan& plan) {
    const BackupMarker& backup = plan.source.backup;
    const std::string& directory = plan.destination.directory;
    std::map<std::string, uint64_t> needed = plan.survey.bytes_by_root;
    needed[directory] += kWalSegmentsOfRoom * backup.wal_segment_size;
    std::map<std::string, uint64_t> reclaimed;
    if (plan.destination.occupied)
        reclaimed[directory] = disk_usage(directory);
    for (const std::string& old : plan.destination.old_tablespace_directories) {
        reclaimed[old] = disk_usage(old);
    }
    check_room(needed, reclaimed);
}

// The restored cluster reads the past and would write to the present, where objects that came since
// have names that it will use.
std::string warning_of_present(UnixMicros as_of, bool take_over) {
    return "recovery reads the bucket as it was at " + to_postgres_time(as_of) +
           "; what the restored cluster archives meets the bucket as it is now. Set "
           "pg_ark.repositories to a new place before " +
           (take_over ? "you start it" : "SELECT ark.adopt()");
}

}  // namespace

void refuse_corrupt_pages(const BackupMarker& backup) {
    if (backup.corrupt_page_count == 0)
        return;
    std::string pages;
    for (size_t i = 0; i < backup.corrupt_pages.size() && i < 5; ++i) {
        const CorruptPage& page = backup.corrupt_pages[i];
        pages += (i == 0 ? "" : "; ") + page.path + " block " + std::to_string(page.block);
    }
    throw Error(ErrorCode::corrupt,
                "backup " + backup.backup_id + " holds " +
                    std::to_string(backup.corrupt_page_count) + " corrupt pages",
                "They were damaged when the backup was taken: " + pages +
                    (backup.corrupt_page_count > 5 ? "; …" : "") + ".",
                "Restore an older backup that has none (\"pg_ark list\"; WAL leads from it to any "
                "later moment), or say --accept-corrupt-pages to get the damage too.");
}

namespace {

// A backup copies files whole in which its parent has corrupt pages, so that each names all of its
// own. One that does not is no reason to restore damage without a word.
void refuse_inherited_damage(const RestorePlan& plan) {
    const std::vector<std::string>& files = plan.survey.damaged_in_parents;
    if (files.empty())
        return;
    throw Error(ErrorCode::corrupt,
                "backup " + plan.source.backup.backup_id +
                    " needs blocks of files that had corrupt pages in backups that it builds on",
                "The first of " + std::to_string(files.size()) + ": " + files.front() + ".",
                "Restore an older backup that has none (\"pg_ark list\"; WAL leads from it to any "
                "later moment), or say --accept-corrupt-pages to get the damage too.");
}

}  // namespace

RestorePlan plan_restore(Repository& repository, ArchivedWal& wal, const RestoreRequest& request) {
    RestorePlan plan;
    plan.source = resolve_wish(repository, wal, request.cluster, request.wish);
    plan.warnings = plan.source.warnings;
    plan.as_of = repository.store().as_of();
    if (plan.as_of && !request.scratch)
        plan.warnings.push_back(warning_of_present(*plan.as_of, request.take_over));
    plan.read_ahead = plan.source.can_look_ahead;
    const BackupMarker& backup = plan.source.backup;
    if (!backup.is_encrypted && vault_of(repository.store(), plan.source.cluster)) {
        plan.warnings.push_back(
            "backup " + backup.backup_id +
            " is not encrypted, although the cluster has keys: anybody who can write to the "
            "repository could have put it there; --require-encryption refuses it");
    }
    // A scratch server's programs are the caller's choice.
    if (!request.scratch)
        refuse_other_major(backup, request.program);
    if (!request.accept_corrupt_pages)
        refuse_corrupt_pages(backup);
    plan.destination = check_destination(request.destination, backup, repository.url());
    const Layout layout(plan.destination.directory, plan.destination.tablespaces);
    plan.survey = survey_index(repository, plan.source.chain, layout);
    if (!request.accept_corrupt_pages)
        refuse_inherited_damage(plan);
    plan.fetch_bytes =
        plan.source.chain.is_incremental() ? plan.survey.stored_bytes : backup.stored_bytes;
    check_room_for(plan);
    if (!request.scratch)
        look_for_created_tablespaces(wal, plan);
    if (plan.destination.occupied) {
        // Another cluster's WAL may have the same names: nothing in the repository stands for it.
        plan.kept_wal = wal_not_in_repository(repository, wal, plan.source.cluster,
                                              plan.destination.directory, backup.wal_segment_size);
        const std::string link = wal_link_of(plan.destination.directory);
        if (!link.empty()) {
            plan.warnings.push_back("pg_wal of the cluster that is replaced leads to \"" + link +
                                    "\": what is there stays; the restored pg_wal is a directory");
        }
    }
    return plan;
}

}  // namespace ark
