#include "core/compact/job.hpp"

#include <algorithm>
#include <atomic>
#include <deque>
#include <exception>
#include <list>
#include <random>
#include <thread>
#include <vector>

#include "core/backup/pack_writer.hpp"
#include "core/backup/record_run.hpp"
#include "core/base/error.hpp"
#include "core/base/fault.hpp"
#include "core/compact/piece_queue.hpp"
#include "core/repo/chain.hpp"
#include "core/repo/manifest_writer.hpp"
#include "core/repo/object_reader.hpp"
#include "core/repo/vault_store.hpp"
#include "core/restore/chain_source.hpp"
#include "core/restore/file_writer.hpp"

namespace ark {

namespace {

constexpr const char* kControlPath = "global/pg_control";
constexpr const char* kLabelPath = "backup_label";
constexpr uint64_t kConfigArchiveLimit = 256 << 20;
// Small files that lie side by side are read by one lane: they share frames.
constexpr size_t kBatchFiles = 64;
constexpr uint64_t kBatchBytes = 16 << 20;
constexpr size_t kQueueLength = 16;
constexpr std::chrono::milliseconds kTick{200};

using Batch = std::vector<ChainEntry>;

/// From the reader of the indexes to the lanes.
class BatchQueue {
 public:
    /// False where there was no room within a tick. Rethrows a lane's failure.
    bool push(Batch& batch) {
        std::unique_lock lock(mutex_);
        const bool room = changed_.wait_for(
            lock, kTick, [this] { return failure_ || batches_.size() < kQueueLength; });
        if (failure_)
            std::rethrow_exception(failure_);
        if (room)
            batches_.push_back(std::move(batch));
        changed_.notify_all();
        return room;
    }
    std::optional<Batch> pop() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return failure_ || closed_ || !batches_.empty(); });
        if (failure_ || batches_.empty())
            return std::nullopt;
        Batch batch = std::move(batches_.front());
        batches_.pop_front();
        changed_.notify_all();
        return batch;
    }
    void close() {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        changed_.notify_all();
    }
    void fail(std::exception_ptr failure) {
        const std::lock_guard lock(mutex_);
        if (!failure_)
            failure_ = std::move(failure);
        changed_.notify_all();
    }
    bool failed() {
        const std::lock_guard lock(mutex_);
        return failure_ != nullptr;
    }
    void lane_ended() {
        const std::lock_guard lock(mutex_);
        ++ended_;
        changed_.notify_all();
    }
    bool wait_for_lanes(size_t lanes) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, kTick, [&] { return ended_ == lanes; });
    }
    void rethrow() {
        const std::lock_guard lock(mutex_);
        if (failure_)
            std::rethrow_exception(failure_);
    }

 private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Batch> batches_;
    std::exception_ptr failure_;
    size_t ended_ = 0;
    bool closed_ = false;
};

/// Reads files through the chain and writes them as whole ones. One thread.
class Lane {
 public:
    Lane(Repository& repository, const BackupChain& chain, PackSet& packs, CompactProgress& total,
         std::mutex& mutex)
        : source_(repository, chain),
          member_(packs.crew()),
          packs_(packs, records_),
          total_(total),
          mutex_(mutex) {}

    void run(BatchQueue& queue) {
        while (auto batch = queue.pop()) {
            for (const ChainEntry& file : *batch)
                copy(file, queue);
        }
        packs_.finish();
        records_.seal();
        member_.help();
    }

    void copy(const ChainEntry& file, BatchQueue& queue) {
        IndexEntry entry = whole_of(file.entry);
        if (entry.size == 0) {
            packs_.add_file(std::move(entry), [](MutableByteView, uint64_t) {});
        } else {
            PieceQueue pieces([&](const PieceQueue::Give& give) { source_.read(file, give); });
            packs_.add_file(std::move(entry), [&](MutableByteView buffer, uint64_t) {
                if (queue.failed())
                    throw Error(ErrorCode::cancelled, "the compaction was cancelled");
                pieces.take(buffer);
                const std::lock_guard lock(mutex_);
                total_.bytes += buffer.size();
                PG_ARK_FAULT_POINT("compact_piece");
            });
            // Before the pack is: what is wrong with the file must not be in one.
            pieces.finish();
        }
        const std::lock_guard lock(mutex_);
        ++total_.files;
    }

    Bytes read(const ChainEntry& file) {
        Bytes content;
        source_.read(file, [&](ByteView piece) {
            content.insert(content.end(), piece.begin(), piece.end());
        });
        return content;
    }

    static IndexEntry whole_of(const IndexEntry& stored) {
        IndexEntry entry;
        entry.path = stored.path;
        entry.mode = stored.mode;
        entry.modified = stored.modified;
        entry.size = file_size(stored);
        return entry;
    }

    RecordRun& records() { return records_; }

 private:
    ChainSource source_;
    FrameCrew::Member member_;
    RecordRun records_;
    PackWriter packs_;
    CompactProgress& total_;
    std::mutex& mutex_;
};

class CompactJob {
 public:
    CompactJob(Repository& repository, const CompactRequest& request, CompactListener& listener)
        : repository_(repository),
          request_(request),
          listener_(listener),
          writer_(make_writer(request.data_directory)),
          packs_(repository, request.cluster, request.new_id, writer_, request.compression_level) {}

    BackupMarker run(bool& ours) {
        open();
        ours = true;
        copy_files();
        PG_ARK_FAULT_POINT("compact_after_copy");
        write_last_pack();
        write_index_and_manifest();
        copy_config();
        copy_witness(ObjectKind::census, place::census, chain_.tip().census_sha256);
        copy_witness(ObjectKind::answers, place::answers, chain_.tip().answers_sha256);
        PG_ARK_FAULT_POINT("compact_before_check");
        check_objects();
        report();
        commit();
        return marker_;
    }

    void remove_everything() noexcept {
        try {
            ObjectStore& store = repository_.store();
            // Somebody else has finished one of this name: it is theirs, all of it.
            if (!commits_ && store.head(object_name(place::marker(request_.new_id))))
                return;
            for (const std::string& place :
                 {place::marker(request_.new_id), place::index(request_.new_id),
                  place::manifest(request_.new_id), place::config(request_.new_id),
                  place::census(request_.new_id), place::answers(request_.new_id)})
                store.remove(object_name(place));
            for (uint32_t i = 0; i < packs_.opened(); ++i)
                store.remove(object_name(place::pack(request_.new_id, i)));
        } catch (const std::exception& error) {
            // The failure that led here is the one to report; a sweep tries this again.
            static_cast<void>(error);
        }
    }

 private:
    void open() {
        refuse_without_key(repository_.store(), request_.cluster, "compacting a backup");
        if (find_chain_link(repository_, request_.cluster, request_.new_id))
            throw Error(ErrorCode::already_exists,
                        "backup \"" + request_.new_id + "\" is in the repository already");
        auto tip = find_backup(repository_, request_.cluster, request_.backup_id);
        if (!tip)
            throw Error(ErrorCode::not_found,
                        "backup \"" + request_.backup_id + "\" does not exist", {},
                        "\"pg_ark list\" shows which there are.");
        check_encryption(tip->is_encrypted);
        chain_ = load_chain(repository_, request_.cluster, std::move(*tip));
        if (!chain_.is_incremental())
            throw Error(ErrorCode::refused,
                        "backup \"" + request_.backup_id + "\" is a full one already");
        const BackupMarker& m = chain_.tip();
        progress_.files_total = m.files;
        progress_.bytes_total = m.database_bytes;
        packs_.checksum_blocks(m.block_size);
    }

    void check_encryption(bool is_encrypted) {
        const auto vault = vault_of(repository_.store(), request_.cluster);
        const bool encrypts = vault && vault->encrypts();
        if (encrypts == is_encrypted)
            return;
        throw Error(ErrorCode::refused,
                    "backup \"" + request_.backup_id + "\" is " +
                        (is_encrypted ? "encrypted, and what is written now is not"
                                      : "not encrypted, and what is written now is"),
                    {}, "Take a full backup, or compact it by \"pg_ark compact\".");
    }

    std::string object_name(const std::string& place) const {
        return request_.cluster + "/" + place;
    }

    void report() {
        CompactProgress now;
        {
            const std::lock_guard lock(mutex_);
            now = progress_;
        }
        now.stored = packs_.stored();
        listener_.progress(now);
    }

    void copy_files() {
        BatchQueue queue;
        std::vector<std::jthread> threads;
        const auto count = static_cast<size_t>(std::max(1, request_.jobs));
        for (size_t i = 0; i < count; ++i)
            lanes_.push_back(
                std::make_unique<Lane>(repository_, chain_, packs_, progress_, mutex_));
        const auto fail = [&] {
            queue.fail(std::current_exception());
            packs_.crew().close();
        };
        try {
            for (const auto& lane : lanes_) {
                threads.emplace_back([&, lane = lane.get()] {
                    try {
                        lane->run(queue);
                    } catch (...) {
                        fail();
                    }
                    queue.lane_ended();
                });
            }
            read_chain(queue);
            queue.close();
            while (!queue.wait_for_lanes(count))
                report();
        } catch (...) {
            fail();
        }
        threads.clear();  // joins
        queue.rethrow();
    }

    // Directories are in the first pack; backup_label and pg_control wait for the last.
    void read_chain(BatchQueue& queue) {
        PackWriter first(packs_, directories_);
        ChainReader reader(repository_, chain_);
        Batch batch;
        uint64_t bytes = 0;
        const auto flush = [&] {
            while (!batch.empty() && !queue.push(batch))
                report();
            batch.clear();
            bytes = 0;
            report();
        };
        while (auto file = reader.next()) {
            if (file->entry.type == EntryType::directory) {
                first.add_directory(file->entry.path, file->entry.mode);
                directories_.add(file->entry);
            } else if (file->entry.path == kControlPath || file->entry.path == kLabelPath) {
                last_.push_back(std::move(*file));
            } else {
                bytes += file_size(file->entry);
                batch.push_back(std::move(*file));
                if (batch.size() == kBatchFiles || bytes >= kBatchBytes)
                    flush();
            }
        }
        flush();
        first.finish();
        directories_.seal();
    }

    // Without them nothing starts: they come when all else is there.
    void write_last_pack() {
        if (last_.size() != 2)
            throw Error(ErrorCode::corrupt, "backup \"" + request_.backup_id +
                                                "\" lacks its backup_label or pg_control");
        Lane& lane = *lanes_.front();
        PackWriter last(packs_, last_records_);
        for (const ChainEntry& file : last_) {
            Bytes content = lane.read(file);
            if (file.entry.path == kLabelPath) {
                const std::string label = without_incremental_lines(as_text(content));
                const ByteView text = as_bytes(label);
                content.assign(text.begin(), text.end());
            }
            IndexEntry entry = Lane::whole_of(file.entry);
            entry.size = content.size();
            last.add_file(std::move(entry), [&](MutableByteView buffer, uint64_t offset) {
                std::memcpy(buffer.data(), content.data() + offset, buffer.size());
            });
        }
        last.finish();
        last_records_.seal();
    }

    ObjectWriter stream(ObjectKind kind, const std::string& place) {
        return {repository_.store(),
                request_.cluster,
                kind,
                place,
                writer_,
                request_.compression_level,
                true};
    }

    void write_index_and_manifest() {
        const BackupMarker& tip = chain_.tip();
        std::vector<RecordRun*> runs{&directories_, &last_records_};
        for (const auto& lane : lanes_)
            runs.push_back(&lane->records());
        RecordMerge merge(std::move(runs));
        ObjectWriter index = stream(ObjectKind::index, place::index(request_.new_id));
        ObjectWriter manifest_object =
            stream(ObjectKind::manifest, place::manifest(request_.new_id));
        ManifestWriter manifest(manifest_object, tip.pg_version_num, tip.system_identifier);
        marker_ = tip;
        marker_.files = 0;
        marker_.database_bytes = 0;
        while (const auto entry = merge.next()) {
            index.append(as_bytes(to_json_line(*entry)));
            if (entry->type != EntryType::file)
                continue;
            manifest.add(*entry);
            ++marker_.files;
            marker_.database_bytes += entry->size;
        }
        if (marker_.files != tip.files)
            throw Error(ErrorCode::internal, "the compacted backup has " +
                                                 std::to_string(marker_.files) + " files, not " +
                                                 std::to_string(tip.files));
        manifest.finish(tip.timeline, tip.start_lsn, tip.stop_lsn);
        const WrittenObject written_index = index.finish();
        const WrittenObject written_manifest = manifest_object.finish();
        marker_.index_sha256 = written_index.plain_sha256;
        marker_.manifest_sha256 = written_manifest.plain_sha256;
        marker_.stored_bytes = written_index.stored_bytes + written_manifest.stored_bytes;
        for (const PackInfo& pack : packs_.packs())
            marker_.stored_bytes += pack.stored_bytes;
    }

    void copy_config() {
        const BackupMarker& tip = chain_.tip();
        if (!tip.has_config_archive)
            return;
        const std::string place = place::config(tip.backup_id);
        const auto stored = repository_.store().get(object_name(place), kConfigArchiveLimit);
        if (!stored)
            throw Error(ErrorCode::corrupt, "object \"" + object_name(place) + "\" is gone");
        const Bytes archive = open_object(*stored, ObjectKind::config, place, kConfigArchiveLimit,
                                          vault_of(repository_.store(), request_.cluster).get());
        store_object(repository_.store(), request_.cluster, ObjectKind::config,
                     place::config(request_.new_id), archive, writer_, request_.compression_level);
    }

    void copy_witness(ObjectKind kind, std::string (*place)(const std::string&),
                      const std::string& sha256) {
        if (sha256.empty())
            return;
        ObjectReader source(repository_.store(), request_.cluster, kind,
                            place(chain_.tip().backup_id));
        ObjectWriter copy = stream(kind, place(request_.new_id));
        while (const auto piece = source.next())
            copy.append(*piece);
        source.check_digest(sha256);
        marker_.stored_bytes += copy.finish().stored_bytes;
    }

    void check_objects() {
        const std::vector<PackInfo> packs = packs_.packs();
        const auto check = [&](const std::string& place, std::optional<uint64_t> size) {
            const auto info = repository_.store().head(object_name(place));
            if (!info || (size && info->size != *size))
                throw Error(ErrorCode::corrupt,
                            "object \"" + object_name(place) + "\" is not as it was written",
                            "Something else removes or changes objects in this repository.");
        };
        for (uint32_t i = 0; i < packs.size(); ++i)
            check(place::pack(request_.new_id, i), packs[i].stored_bytes);
        check(place::index(request_.new_id), std::nullopt);
        check(place::manifest(request_.new_id), std::nullopt);
    }

    void commit() {
        BackupMarker& m = marker_;
        m.backup_id = request_.new_id;
        m.type = kTypeFull;
        m.backup_type = "full";
        m.compacted_from = request_.backup_id;
        m.parent.clear();
        m.parent_index_sha256.clear();
        m.resumed = false;
        m.changes.reset();
        m.full_because.clear();
        m.reason = request_.reason;
        m.created_by = request_.created_by;
        m.role = request_.role;
        m.packs = packs_.packs();
        m.program_version = PG_ARK_VERSION;
        m.completed_at = now_micros();
        m.writer = writer_;
        m.writer.time = m.completed_at;
        PG_ARK_FAULT_POINT("compact_before_marker");
        commits_ = true;
        store_small(repository_.store(), request_.cluster, ObjectKind::marker,
                    place::marker(request_.new_id), as_bytes(to_json(m)), m.writer,
                    BackupRange{m.timeline, m.start_lsn, m.stop_lsn});
        PG_ARK_FAULT_POINT("compact_after_marker");
    }

    Repository& repository_;
    const CompactRequest& request_;
    CompactListener& listener_;
    const Writer writer_;
    BackupChain chain_;
    PackSet packs_;
    std::mutex mutex_;
    CompactProgress progress_;  ///< under mutex_ while lanes run
    std::vector<std::unique_ptr<Lane>> lanes_;
    RecordRun directories_;
    RecordRun last_records_;
    std::vector<ChainEntry> last_;
    BackupMarker marker_;
    bool commits_ = false;  ///< the marker may be ours
};

}  // namespace

std::string compacted_id(const std::string& backup_id) {
    const auto name = parse_backup_id(backup_id);
    if (!name)
        throw Error(ErrorCode::invalid_argument, "invalid backup id \"" + backup_id + "\"", {},
                    "Name the new one with --as.");
    constexpr size_t kRandomDigits = 8;
    const std::string time = backup_id.substr(name->backup_type.size());
    std::string id = "full" + time.substr(0, time.size() - kRandomDigits);
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::random_device random;
    std::uniform_int_distribution<size_t> digit(0, kDigits.size() - 1);
    for (size_t i = 0; i < kRandomDigits; ++i)
        id += kDigits[digit(random)];
    return id;
}

BackupMarker compact_backup(Repository& repository, const CompactRequest& request,
                            CompactListener& listener) {
    CompactJob job(repository, request, listener);
    bool ours = false;
    try {
        return job.run(ours);
    } catch (const Error& error) {
        // Of two that write at the same time under one name the other one's objects must not go.
        // What is nobody's then a sweep removes.
        if (ours && error.code != ErrorCode::conflict)
            job.remove_everything();
        throw;
    } catch (...) {
        if (ours)
            job.remove_everything();
        throw;
    }
}

}  // namespace ark
