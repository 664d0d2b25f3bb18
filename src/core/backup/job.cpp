#include "core/backup/job.hpp"

#include <fcntl.h>

#include <algorithm>
#include <exception>
#include <thread>

#include "core/backup/base.hpp"
#include "core/backup/cleanup.hpp"
#include "core/backup/config_archive.hpp"
#include "core/backup/lane.hpp"
#include "core/backup/local_backups.hpp"
#include "core/backup/missing_segments.hpp"
#include "core/backup/moved_databases.hpp"
#include "core/backup/unfinished.hpp"
#include "core/backup/wal_wait.hpp"
#include "core/base/fault.hpp"
#include "core/base/file.hpp"
#include "core/pipeline/tar_writer.hpp"
#include "core/repo/answers.hpp"
#include "core/repo/manifest_writer.hpp"

namespace ark {

namespace {

// Files from here on are taken first, so that the lanes end about together.
constexpr uint64_t kLargeFileBytes = 64 << 20;
constexpr int kProgressMillis = 250;
constexpr const char* kControlPath = "global/pg_control";
constexpr const char* kLabelPath = "backup_label";

class BackupJob {
 public:
    BackupJob(Repository& repository, const BackupRequest& request, BackupHost& host,
              const FindChanges& find_changes)
        : repository_(repository),
          request_(request),
          host_(host),
          find_changes_(find_changes),
          writer_(make_writer(request.data_directory)),
          packs_(repository, request.cluster, request.id, writer_, request.compression_level) {}

    /// `ours` becomes true when the id is known to be free: from then on what lies there is this
    /// job's.
    BackupMarker run(bool& ours);
    void remove_everything() noexcept;
    /// The same, of what carries this job's name as its writer.
    void remove_own() noexcept;

 private:
    void check_request();
    void list_files();
    void plan_files();
    void copy_files();
    void run_lanes();
    void watch_lanes(const std::atomic<int>& running);
    void take_changes(const CopyLane& lane);
    void take_findings(const CopyLane& lane);
    void write_last_pack();
    std::string label() const;
    ObjectWriter stream(ObjectKind kind, const std::string& place);
    void count(const TableState& table);
    void keep_answer(const std::string& line);
    void write_index_and_manifest();
    void check_packs();
    void check_remains(
        const std::function<void(const std::string&, std::optional<uint64_t>)>& check) const;
    void check_chain();
    void commit();
    void remember();
    void report(const CorruptPage& page);
    BackupProgress progress(BackupPhase phase) const;
    BackupMarker describe_beginning() const;
    BackupMarker describe_backup() const;
    std::string object_name(const std::string& place) const {
        return request_.cluster + "/" + place;
    }

    Repository& repository_;
    const BackupRequest& request_;
    BackupHost& host_;
    const FindChanges& find_changes_;
    Writer writer_;
    PackSet packs_;

    ControlFile control_;
    BackupStart start_;
    BackupStop stop_;
    FileList files_;
    BackupBase base_;
    uint64_t bytes_total_ = 0;  ///< to be read
    std::unique_ptr<CopyState> state_;
    std::vector<std::unique_ptr<CopyLane>> lanes_;
    RecordRun directory_records_;
    RecordRun last_records_;
    std::vector<SuspectPage> suspects_;
    std::vector<Lsn> more_suspects_;
    CensusWriter census_;
    std::optional<ObjectWriter> census_object_;
    std::optional<ObjectWriter> answers_object_;
    BackupMarker marker_;
    std::optional<LocalBackups::Writer> remembered_;
};

BackupMarker BackupJob::run(bool& ours) {
    check_request();
    ours = true;
    const DatabasePlaces before = database_places(request_.data_directory);
    start_ = host_.start([this](const TableState& table) {
        if (!table.missing)
            census_.at_start(table);
    });
    PG_ARK_FAULT_POINT("backup_after_start");
    list_files();
    plan_files();
    copy_files();
    PG_ARK_FAULT_POINT("backup_after_copy");
    write_last_pack();
    const DatabasePlaces after = database_places(request_.data_directory);
    PG_ARK_FAULT_POINT("backup_after_stop");
    write_index_and_manifest();
    marker_.has_config_archive = store_config_archive(repository_, request_, writer_, host_);
    PG_ARK_FAULT_POINT("backup_before_wal");
    wait_for_wal(repository_, request_, start_, stop_, control_.wal_segment_size,
                 progress(BackupPhase::waiting_for_wal), host_);
    host_.progress(progress(BackupPhase::finishing));
    check_moved_databases(repository_, request_, start_, stop_, control_.wal_segment_size, before,
                          after, host_);
    check_packs();
    check_chain();
    // Whose server has gone meanwhile has perhaps been swept by the next one: no marker then.
    host_.wait(0);
    commit();
    return marker_;
}

void BackupJob::check_request() {
    if (outline_backup(repository_, request_.cluster, request_.id)) {
        throw Error(ErrorCode::already_exists,
                    "backup \"" + request_.id + "\" is in the repository already");
    }
    control_ = read_control_file(request_.data_directory);
    if (control_.system_identifier != request_.system_identifier) {
        throw Error(ErrorCode::internal, "the data directory is not the server's own",
                    "pg_control in \"" + request_.data_directory + "\" has system identifier " +
                        std::to_string(control_.system_identifier) + ", the server has " +
                        std::to_string(request_.system_identifier) + ".");
    }
}

BackupProgress BackupJob::progress(BackupPhase phase) const {
    BackupProgress out;
    out.phase = phase;
    out.files_total = files_.size();
    out.bytes_total = bytes_total_;
    out.stored = packs_.stored();
    if (state_) {
        out.files = state_->files_done;
        out.bytes = state_->bytes_done;
    }
    return out;
}

void BackupJob::list_files() {
    host_.progress(progress(BackupPhase::listing));
    files_ = FileList::read(request_.data_directory, [this](const std::string& path) {
        if (leads_to_configuration(request_, path))
            return;
        host_.warning(Error(ErrorCode::unsupported, "skipping special file \"" + path + "\"",
                            "It is neither a regular file nor a directory."));
    });
    for (const CorruptPage& page :
         find_missing_segments(files_, request_.data_directory, control_.relation_segment_blocks))
        report(page);
}

void BackupJob::plan_files() {
    base_ = find_base(repository_, request_, control_, start_, files_, find_changes_);
    host_.wait(0);
    if (!base_.remains_unused.empty())
        host_.warning(
            Error(ErrorCode::unsupported,
                  "what an earlier backup has finished is of no use: " + base_.remains_unused));
    PG_ARK_FAULT_POINT("backup_after_planning");
    packs_.checksum_blocks(control_.block_size);
    state_ = std::make_unique<CopyState>(files_, request_.data_directory, control_, start_.lsn);
    state_->verify_pages = control_.data_checksum_version != 0 && control_.block_size == kPageBytes;
    state_->plan = base_.plan.get();
    state_->audit_fraction = request_.audit_fraction;
    if (!base_.plan && can_read(repository_, request_.cluster))
        packs_.describe_full_packs(describe_beginning(), server_start(request_.data_directory));
    for (uint32_t i = 0; i < files_.size(); ++i) {
        uint64_t bytes = files_.bytes(i);
        if (base_.plan) {
            const std::string path = files_.path(i);
            bytes = base_.plan->stored_bytes(
                base_.plan->of(i, path, parse_relation_path(path), bytes), bytes);
        }
        bytes_total_ += bytes;
        (bytes >= kLargeFileBytes ? state_->large : state_->rest).push_back(i);
    }
}

void BackupJob::copy_files() {
    // The archive begins with the directories, so that unpacking gives them their modes.
    PackWriter first(packs_, directory_records_);
    for (const FileList::Directory& directory : files_.directories()) {
        if (directory.path.empty())
            continue;
        first.add_directory(directory.path, directory.mode);
        IndexEntry entry;
        entry.path = directory.path;
        entry.type = EntryType::directory;
        entry.mode = directory.mode;
        directory_records_.add(entry);
    }
    first.finish();
    directory_records_.seal();
    run_lanes();
    for (const auto& lane : lanes_)
        take_findings(*lane);
    host_.progress(progress(BackupPhase::copying));
}

void BackupJob::run_lanes() {
    const int count = std::max(1, request_.jobs);
    for (int i = 0; i < count; ++i)
        lanes_.push_back(std::make_unique<CopyLane>(*state_, packs_));
    std::atomic<int> running = count;
    std::exception_ptr failure;
    std::mutex failure_mutex;
    std::vector<std::jthread> threads;
    const auto remember = [&] {
        const std::lock_guard lock(failure_mutex);
        // The first failure is the cause; the others are lanes that saw `stop`.
        if (!state_->stop.exchange(true))
            failure = std::current_exception();
        packs_.crew().close();
    };
    try {
        // Also the start of a thread can fail; the lanes that run already must not go on then.
        threads.reserve(lanes_.size());
        for (const auto& lane : lanes_) {
            threads.emplace_back([&, lane = lane.get()] {
                try {
                    lane->run();
                } catch (...) {
                    remember();
                }
                --running;
            });
        }
        watch_lanes(running);
    } catch (...) {
        remember();
    }
    threads.clear();  // joins
    if (failure)
        std::rethrow_exception(failure);
}

void BackupJob::watch_lanes(const std::atomic<int>& running) {
    constexpr int kNapMillis = 10;
    int64_t next_report = 0;
    while (running > 0) {
        if (monotonic_nanos() >= next_report) {
            host_.progress(progress(BackupPhase::copying));
            next_report = monotonic_nanos() + kProgressMillis * 1000000LL;
        }
        host_.wait(kNapMillis);
    }
}

void BackupJob::take_findings(const CopyLane& lane) {
    const PageVerifier::Findings& findings = lane.findings();
    marker_.pages_verified += findings.verified;
    marker_.files += lane.copied_files();
    if (base_.plan)
        take_changes(lane);
    for (const SuspectPage& page : findings.corrupt)
        report(page.page);
    marker_.corrupt_page_count += findings.corrupt_count - findings.corrupt.size();
    suspects_.insert(suspects_.end(), findings.suspect.begin(), findings.suspect.end());
    more_suspects_.insert(more_suspects_.end(), findings.more_suspects.begin(),
                          findings.more_suspects.end());
}

void BackupJob::take_changes(const CopyLane& lane) {
    const IncrementalSummary& found = lane.summary();
    const ChangeAudit::Findings& audit = lane.audit();
    IncrementalSummary& all = marker_.changes ? *marker_.changes : marker_.changes.emplace();
    all.whole_files += found.whole_files;
    all.changed_files += found.changed_files;
    all.unchanged_files += found.unchanged_files;
    all.changed_blocks += found.changed_blocks;
    all.audited_blocks += audit.blocks;
    all.audit_misses += audit.misses;
    for (const AuditMiss& miss : audit.missed)
        host_.audit_miss(miss);
}

void BackupJob::report(const CorruptPage& page) {
    ++marker_.corrupt_page_count;
    if (marker_.corrupt_pages.size() >= kMaxReportedPages)
        return;
    marker_.corrupt_pages.push_back(page);
    host_.corrupt_page(page, parse_relation_path(page.path).value_or(RelationPath{}));
}

ContentSource source_of(ByteView content) {
    return [content](MutableByteView buffer, uint64_t offset) {
        std::memcpy(buffer.data(), content.data() + offset, buffer.size());
    };
}

IndexEntry small_file(const std::string& path, ByteView content, uint32_t mode) {
    IndexEntry entry;
    entry.path = path;
    entry.mode = mode;
    entry.modified = now_micros();
    entry.size = content.size();
    return entry;
}

// pg_control is read last of all files, before the stop, and backup_label exists only after it: a
// restore that lacks this pack cannot start.
void BackupJob::write_last_pack() {
    const Bytes control = host_.control_file();
    if (parse_control_file(control).system_identifier != request_.system_identifier) {
        throw Error(ErrorCode::corrupt, "pg_control is of another cluster");
    }
    stop_ = host_.stop([this](const TableState& table) { count(table); },
                       [this](const std::string& line) { keep_answer(line); });
    if (stop_.timeline != start_.timeline) {
        throw Error(ErrorCode::refused, "the server changed its timeline during the backup",
                    "It began on timeline " + std::to_string(start_.timeline) + " and ended on " +
                        std::to_string(stop_.timeline) + ".",
                    "Take the backup again.");
    }
    if (stop_.lsn <= start_.lsn) {
        throw Error(ErrorCode::internal, "the backup's stop LSN " + to_text(stop_.lsn) +
                                             " is not after its start LSN " + to_text(start_.lsn));
    }
    const auto unreached = [&](Lsn lsn) { return lsn > stop_.flush_lsn; };
    for (const SuspectPage& page : suspects_) {
        if (unreached(page.lsn))
            report(page.page);
    }
    marker_.corrupt_page_count +=
        static_cast<uint64_t>(std::ranges::count_if(more_suspects_, unreached));
    PackWriter last(packs_, last_records_);
    // pg_control's mode is what the server gives its files: 0640 where the group may read them.
    const std::string control_path = request_.data_directory + "/" + kControlPath;
    const uint32_t mode = File::open(control_path, O_RDONLY).stat().st_mode & 0666;
    const std::string text = label();
    last.add_file(small_file(kLabelPath, as_bytes(text), mode), source_of(as_bytes(text)));
    last.add_file(small_file(kControlPath, control, mode), source_of(control));
    last.finish();
    last_records_.seal();
    marker_.files += 2;
}

// As PostgreSQL 17 says it (build_backup_content in src/backend/access/transam/xlogbackup.c): its
// server refuses to start from an incremental backup that was unpacked by itself.
std::string BackupJob::label() const {
    if (!base_.parent)
        return stop_.label;
    return stop_.label + "INCREMENTAL FROM LSN: " + to_text(base_.parent->start_lsn) +
           "\nINCREMENTAL FROM TLI: " + std::to_string(base_.parent->timeline) + "\n";
}

ObjectWriter BackupJob::stream(ObjectKind kind, const std::string& place) {
    return {repository_.store(),
            request_.cluster,
            kind,
            place,
            writer_,
            request_.compression_level,
            true};
}

void BackupJob::count(const TableState& table) {
    if (table.missing) {
        report({table.path, 0, "the relation's file is missing"});
        return;
    }
    if (!census_object_)
        census_object_.emplace(stream(ObjectKind::census, place::census(request_.id)));
    census_.at_stop(*census_object_, table);
}

// What is no such line is left out: a backup is as good without.
void BackupJob::keep_answer(const std::string& line) {
    const auto whole = checked_answer_line(line);
    if (!whole)
        return;
    if (!answers_object_)
        answers_object_.emplace(stream(ObjectKind::answers, place::answers(request_.id)));
    answers_object_->append(as_bytes(*whole));
}

void BackupJob::write_index_and_manifest() {
    std::vector<RecordRun*> runs{&directory_records_, &last_records_};
    for (const auto& lane : lanes_) {
        for (RecordRun* run : lane->runs())
            runs.push_back(run);
    }
    RecordMerge merge(std::move(runs));
    ObjectWriter index = stream(ObjectKind::index, place::index(request_.id));
    ObjectWriter manifest_object = stream(ObjectKind::manifest, place::manifest(request_.id));
    ManifestWriter manifest(manifest_object, request_.pg_version_num, request_.system_identifier);
    if (!can_read(repository_, request_.cluster))
        remembered_.emplace(LocalBackups(request_.data_directory), request_.id);
    while (const std::optional<IndexEntry> entry = merge.next()) {
        index.append(as_bytes(to_json_line(*entry)));
        if (entry->type != EntryType::file)
            continue;
        manifest.add(*entry);
        if (remembered_)
            remembered_->add(*entry);
        marker_.database_bytes += file_size(*entry);
    }
    manifest.finish(start_.timeline, start_.lsn, stop_.lsn);
    const WrittenObject written_index = index.finish();
    PG_ARK_FAULT_POINT("backup_after_index");
    const WrittenObject written_manifest = manifest_object.finish();
    PG_ARK_FAULT_POINT("backup_after_manifest");
    marker_.index_sha256 = written_index.plain_sha256;
    marker_.manifest_sha256 = written_manifest.plain_sha256;
    marker_.stored_bytes = written_index.stored_bytes + written_manifest.stored_bytes;
    if (census_object_) {
        const WrittenObject written_census = census_object_->finish();
        marker_.census_sha256 = written_census.plain_sha256;
        marker_.stored_bytes += written_census.stored_bytes;
    }
    if (answers_object_) {
        const WrittenObject written_answers = answers_object_->finish();
        marker_.answers_sha256 = written_answers.plain_sha256;
        marker_.stored_bytes += written_answers.stored_bytes;
    }
    for (const PackInfo& pack : packs_.packs())
        marker_.stored_bytes += pack.stored_bytes;
}

// Somebody else's clean-up or a lifecycle rule may have taken away what this backup wrote hours
// ago.
void BackupJob::check_packs() {
    const std::vector<PackInfo> packs = packs_.packs();
    const auto check = [&](const std::string& place, std::optional<uint64_t> size) {
        const auto info = repository_.store().head(object_name(place));
        if (info && (!size || info->size == *size))
            return;
        throw Error(ErrorCode::corrupt,
                    "object \"" + object_name(place) + "\" is not as the backup wrote it",
                    info ? "It has " + std::to_string(info->size) + " bytes." : "It is gone.",
                    "Something else removes or changes objects in this repository: find it, then "
                    "take the backup again.");
    };
    for (uint32_t i = 0; i < packs.size(); ++i) {
        check(place::pack(request_.id, i), packs[i].stored_bytes);
    }
    if (base_.parent && base_.parent->type == kTypeUnfinished)
        check_remains(check);
    check(place::index(request_.id), std::nullopt);
    check(place::manifest(request_.id), std::nullopt);
    if (!marker_.census_sha256.empty())
        check(place::census(request_.id), std::nullopt);
    if (!marker_.answers_sha256.empty())
        check(place::answers(request_.id), std::nullopt);
    if (marker_.has_config_archive)
        check(place::config(request_.id), std::nullopt);
}

// The parent is no backup of its own, and so nobody else's business.
void BackupJob::check_remains(
    const std::function<void(const std::string&, std::optional<uint64_t>)>& check) const {
    const BackupMarker& parent = *base_.parent;
    for (uint32_t i = 0; i < parent.packs.size(); ++i) {
        if (parent.packs[i].stored_bytes > 0)
            check(place::pack(parent.backup_id, i), parent.packs[i].stored_bytes);
    }
    check(place::index(parent.backup_id), std::nullopt);
    check(place::marker(parent.backup_id), std::nullopt);
}

BackupMarker BackupJob::describe_beginning() const {
    BackupMarker m = describe_backup();
    m.stop_lsn = m.start_lsn + 1;  // nobody knows yet
    return m;
}

BackupMarker BackupJob::describe_backup() const {
    BackupMarker m = marker_;
    m.backup_id = request_.id;
    if (!base_.parent) {
        m.type = kTypeFull;
    } else {
        m.resumed = base_.parent->type == kTypeUnfinished;
        m.type = m.resumed ? kTypeIncremental : request_.type;
    }
    m.full_because = base_.full_because;
    if (base_.parent) {
        m.parent = base_.parent->backup_id;
        m.parent_index_sha256 = base_.parent->index_sha256;
    }
    m.backup_type = request_.backup_type;
    m.reason = request_.reason;
    m.created_by = request_.created_by;
    m.role = request_.role;
    m.superuser = request_.superuser;
    m.started_at = request_.started_at;
    m.stopped_at = stop_.stopped_at;
    m.completed_at = now_micros();
    m.timeline = start_.timeline;
    m.start_lsn = start_.lsn;
    m.stop_lsn = stop_.lsn;
    m.stop_snapshot = stop_.snapshot;
    m.start_segment = segment_name({start_.timeline, start_.lsn / control_.wal_segment_size},
                                   control_.wal_segment_size);
    m.stop_segment = segment_name(
        {start_.timeline, last_segment_number_before(stop_.lsn, control_.wal_segment_size)},
        control_.wal_segment_size);
    m.system_identifier = request_.system_identifier;
    m.cluster = request_.cluster;
    m.pg_version = request_.pg_version;
    m.pg_version_num = request_.pg_version_num;
    m.catalog_version = control_.catalog_version;
    m.control_version = control_.control_version;
    m.wal_segment_size = control_.wal_segment_size;
    m.block_size = control_.block_size;
    m.relation_segment_blocks = control_.relation_segment_blocks;
    m.data_checksum_version = control_.data_checksum_version;
    m.data_directory = request_.data_directory;
    m.page_checksums_verified = state_->verify_pages;
    m.packs = packs_.packs();
    for (const auto& link : files_.tablespaces())
        m.tablespaces.push_back({link.oid, link.location});
    m.config_files = request_.config_files;
    m.config_includes = request_.config_includes;
    m.program_version = PG_ARK_VERSION;
    m.writer = writer_;
    m.writer.time = m.completed_at;
    return m;
}

// So may what it is built on: without that it is no backup.
void BackupJob::check_chain() {
    for (const std::string& id : base_.chain) {
        if (repository_.store().head(object_name(place::marker(id))))
            continue;
        throw Error(
            ErrorCode::refused,
            "backup \"" + id + "\", which this one builds on, is not in the repository any more",
            "It was removed while this backup was taken.",
            "Take the backup again: it will build on another one, or be a full one.");
    }
}

void BackupJob::commit() {
    marker_ = describe_backup();
    PG_ARK_FAULT_POINT("backup_before_marker");
    store_small(repository_.store(), request_.cluster, ObjectKind::marker,
                place::marker(request_.id), as_bytes(to_json(marker_)), marker_.writer,
                BackupRange{marker_.timeline, marker_.start_lsn, marker_.stop_lsn});
    PG_ARK_FAULT_POINT("backup_after_marker");
    remove_descriptions(repository_, request_.cluster, request_.id, packs_.described());
    if (remembered_)
        remember();
}

// The backup is there already: that the next one will have to be a full one is a warning.
void BackupJob::remember() {
    try {
        remembered_->commit(marker_);
        const LocalBackups local(request_.data_directory);
        std::set<std::string> keep{marker_.backup_id};
        for (auto ancestor = local.find(marker_.parent); ancestor;
             ancestor = local.find(ancestor->parent))
            keep.insert(ancestor->backup_id);
        local.keep_only(keep);
    } catch (const Error& error) {
        host_.warning(Error(
            error.code,
            "could not keep what the next incremental backup needs of this one: " + error.message,
            error.detail, "The next one will be a full one."));
    }
}

// The names are known, so that no listing decides. The marker goes first; while it may be there
// nothing else is touched.
void BackupJob::remove_everything() noexcept {
    try {
        PG_ARK_FAULT_POINT("backup_before_cleanup");
        ObjectStore& store = repository_.store();
        store.remove(object_name(place::marker(request_.id)));
        store.remove(object_name(place::index(request_.id)));
        store.remove(object_name(place::manifest(request_.id)));
        store.remove(object_name(place::config(request_.id)));
        store.remove(object_name(place::census(request_.id)));
        store.remove(object_name(place::answers(request_.id)));
        // What is described is of use to the next backup.
        const std::vector<uint32_t> described = packs_.described();
        for (uint32_t i = 0; i < packs_.opened(); ++i) {
            if (std::ranges::find(described, i) == described.end())
                store.remove(object_name(place::pack(request_.id, i)));
        }
    } catch (const std::exception& error) {
        // The failure that led here is the one to report; the server's sweep tries this again.
        static_cast<void>(error);
    }
}

void BackupJob::remove_own() noexcept {
    try {
        remove_unfinished_backup(repository_, request_.cluster, request_.id,
                                 request_.data_directory);
    } catch (const std::exception& error) {
        static_cast<void>(error);  // as above
    }
}

}  // namespace

const char* name_of(BackupPhase phase) noexcept {
    switch (phase) {
        case BackupPhase::listing:
            return "listing";
        case BackupPhase::copying:
            return "copying";
        case BackupPhase::waiting_for_wal:
            return "waiting_for_wal";
        case BackupPhase::finishing:
            return "finishing";
    }
    return "unknown";
}

BackupMarker take_backup(Repository& repository, const BackupRequest& request, BackupHost& host,
                         const FindChanges& find_changes) {
    BackupJob job(repository, request, host, find_changes);
    const BackupLock lock(request.data_directory);
    bool ours = false;
    try {
        return job.run(ours);
    } catch (const Error& error) {
        // A conflict says that somebody else writes here, perhaps under this very id.
        if (ours && error.code == ErrorCode::conflict) {
            job.remove_own();
        } else if (ours) {
            job.remove_everything();
        }
        throw;
    } catch (...) {
        if (ours)
            job.remove_everything();
        throw;
    }
}

}  // namespace ark
