#include "core/drill/restored_files.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "core/base/error.hpp"
#include "core/restore/destination.hpp"
#include "core/restore/job.hpp"
#include "core/restore/tree.hpp"

namespace ark {

namespace {

// For the server's own files, besides the backup's and the WAL.
constexpr uint64_t kRoomForServer = 64 << 20;

class RestoreWatch final : public RestoreListener {
 public:
    explicit RestoreWatch(Watch& watch) : watch_(watch) {}
    void progress(const RestoreProgress& p) override {
        watch_.at(name_of(p.phase), p.bytes, p.bytes_total);
        watch_.tick();
    }

 private:
    Watch& watch_;
};

// What is replayed may make the files grow by as much, and lies in pg_wal until the next
// restartpoint. Of a long way little of either stays at once.
uint64_t room_for_replay(const Resolved& source) {
    constexpr uint64_t kLeast = 1ULL << 30;
    const uint64_t wal = source.wal_segments * source.backup.wal_segment_size;
    if (source.target.kind == TargetKind::immediate)
        return wal;
    return std::min(wal, std::max(kLeast, source.backup.database_bytes));
}

void check_room_for_all(const RestorePlan& plan, const DrillRequest& request) {
    uint64_t needed = kRoomForServer + (static_cast<uint64_t>(request.memory_mb) << 20);
    for (const auto& [root, bytes] : plan.survey.bytes_by_root)
        needed += bytes;
    needed += room_for_replay(plan.source);
    check_room({{plan.destination.directory, needed}}, {});
}

}  // namespace

RestoredFiles restore_to_scratch(Repository& repository, ArchivedWal& wal,
                                 const BackupMarker& marker, const RestoreWish& wish,
                                 const DrillRequest& request, const ScratchDirectory& scratch,
                                 Watch& watch) {
    RestoreRequest restore;
    restore.cluster = request.cluster;
    restore.wish = wish;
    restore.action = TargetAction::promote;
    restore.destination.directory = scratch.path("data");
    for (const Tablespace& t : marker.tablespaces) {
        restore.destination.tablespace_map.emplace_back(
            t.location, scratch.path("tablespaces/" + std::to_string(t.oid)));
    }
    restore.accept_corrupt_pages = true;
    restore.scratch = true;
    restore.jobs = request.jobs;
    restore.program = request.program;
    const RestorePlan plan = plan_restore(repository, wal, restore);
    check_room_for_all(plan, request);
    RestoreWatch listener(watch);
    const RestoreResult result = run_restore(repository, restore, plan, listener);
    RestoredFiles out{result.files, result.bytes, 0, plan.source};
    // Of a longer way they are counted when it has been gone.
    if (out.source.target.kind != TargetKind::immediate)
        return out;
    for (const LaterTablespace& t :
         wal.along(out.source.way, marker.wal_segment_size, kNoLastSegment)
             ->tablespaces_created(marker.start_lsn, marker.stop_lsn)) {
        out.tablespaces_contained += t.location.empty() ? 0 : 1;
    }
    return out;
}

uint64_t count_tablespaces_in_place(const std::string& data_directory) {
    const std::string directory = data_directory + "/pg_tblspc";
    uint64_t count = 0;
    for (const std::string& name : names_in_directory(directory)) {
        struct stat st {};
        if (::lstat(join_path(directory, name).c_str(), &st) == 0 && S_ISDIR(st.st_mode))
            ++count;
    }
    return count;
}

void check_control(const ControlFile& control, const BackupMarker& marker) {
    const auto differ = [](const char* what, uint64_t found, uint64_t expected) {
        throw Error(ErrorCode::corrupt, "pg_control is of another cluster",
                    std::string("Its ") + what + " is " + std::to_string(found) +
                        "; the backup's is " + std::to_string(expected) + ".");
    };
    if (control.system_identifier != marker.system_identifier)
        differ("system identifier", control.system_identifier, marker.system_identifier);
    if (control.catalog_version != marker.catalog_version)
        differ("catalog version", control.catalog_version, marker.catalog_version);
    if (control.wal_segment_size != marker.wal_segment_size)
        differ("WAL segment size", control.wal_segment_size, marker.wal_segment_size);
    if (control.data_checksum_version != marker.data_checksum_version) {
        differ("data checksum version", control.data_checksum_version,
               marker.data_checksum_version);
    }
}

void wal_is_there(ArchivedWal& wal, const BackupMarker& marker, const TimelineHistory& way) {
    try {
        const uint64_t size = marker.wal_segment_size;
        wal.along(way, size, last_segment_number_before(marker.stop_lsn, size))
            ->end(marker.start_lsn);
    } catch (const Error& error) {
        if (error.code != ErrorCode::corrupt)
            throw;
    }
}

std::optional<Expected> read_census(Repository& repository, const BackupMarker& marker,
                                    Evidence& evidence) {
    if (marker.census_sha256.empty()) {
        evidence.notes.emplace_back(
            "the backup has no census: tables were not compared with what they were");
        return std::nullopt;
    }
    try {
        CensusReader reader(repository, marker.cluster, marker.backup_id, marker.census_sha256);
        Expected out;
        while (const auto entry = reader.next()) {
            const TableState& table = entry->table;
            out.databases.insert(table.database_oid);
            if (entry->unchanged)
                out.tables.push_back(
                    {table.database_oid, table.oid, table.bytes, table.schema + "." + table.name});
        }
        return out;
    } catch (const Error& error) {
        if (error.code != ErrorCode::corrupt && error.code != ErrorCode::not_found)
            throw;
        Finding finding = finding_of("census", error);
        finding.object = marker.cluster + "/" + place::census(marker.backup_id);
        evidence.errors.add(std::move(finding));
        return std::nullopt;
    }
}

}  // namespace ark
