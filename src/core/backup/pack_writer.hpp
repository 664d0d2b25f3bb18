#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/backup/record_run.hpp"
#include "core/pipeline/frame_crew.hpp"
#include "core/repo/marker.hpp"
#include "core/repo/object_writer.hpp"
#include "core/repo/repository.hpp"

namespace ark {

/// The packs of one backup: hands out their numbers and gathers what became of them. Thread-safe.
class PackSet {
 public:
    PackSet(Repository& repository, std::string cluster, std::string backup_id, Writer writer,
            int level);

    struct OpenPack {
        uint32_t number = 0;
        std::unique_ptr<ObjectWriter> object;
    };
    /// From here on the blocks of relations' files get checksums (repo/block_checksums.hpp).
    void checksum_blocks(uint32_t block_bytes);
    /// 0 where they get none.
    uint32_t block_bytes() const { return block_bytes_; }

    OpenPack open();
    /// Commits the pack.
    void finish(OpenPack& pack);

    /// From here on a pack that is full is described beside it, so that what a backup has finished
    /// when it fails is of use to the next one (unfinished.hpp). `begun`: what is known of the
    /// backup by now; `server`: which start of a server.
    void describe_full_packs(BackupMarker begun, std::string server) {
        begun_ = std::move(begun);
        server_ = std::move(server);
    }
    bool describes_full_packs() const { return begun_.has_value(); }
    /// Stores the description of a pack that was finished.
    void describe(uint32_t number, RecordRun& files);
    /// Numbers of the packs that were described.
    std::vector<uint32_t> described() const;

    /// In number order. Call when all lanes have ended.
    std::vector<PackInfo> packs() const { return packs_; }
    uint32_t opened() const { return next_; }
    /// Bytes stored so far, unfinished packs included.
    void add_stored(uint64_t bytes) { stored_ += bytes; }
    uint64_t stored() const { return stored_; }
    /// Of the lanes that write these packs.
    FrameCrew& crew() { return crew_; }

 private:
    Repository& repository_;
    std::string cluster_;
    std::string backup_id_;
    Writer writer_;
    int level_;
    uint32_t block_bytes_ = 0;
    FrameCrew crew_;
    mutable std::mutex mutex_;
    uint32_t next_ = 0;
    std::vector<PackInfo> packs_;
    std::optional<BackupMarker> begun_;
    std::string server_;
    std::vector<uint32_t> described_;
    std::atomic<uint64_t> stored_ = 0;
};

/// Gives a file's content piece by piece: fills the buffer from `offset` on. It must fill it whole
/// (a file that has shrunk is zero-padded by the source).
using ContentSource = std::function<void(MutableByteView buffer, uint64_t offset)>;

/// Writes files into packs, one after another; a lane has one. Begins a new pack when one is large
/// enough: a file never spans packs. One thread at a time; idle lanes of the crew compress frames
/// of large files.
class PackWriter {
 public:
    PackWriter(PackSet& packs, RecordRun& records);
    /// Asked before a full pack is described: whether a file of it may be relied on. Not set: all.
    std::function<bool(const std::string& path)> is_sound;

    /// `entry` has path, mode, modified and size; the rest is filled in and the record added.
    void add_file(IndexEntry entry, const ContentSource& content);
    /// The same, to another run than the one that was given.
    void add_file(IndexEntry entry, const ContentSource& content, RecordRun& records);
    /// Adds a directory to the archive; its record is the caller's.
    void add_directory(const std::string& path, uint32_t mode);
    /// Commits what is open. Without it nothing of the last pack becomes visible.
    void finish();

 private:
    ObjectWriter& object();
    void write_large(IndexEntry& entry, const ContentSource& content);
    void add_checksums(IndexEntry& entry, const std::vector<uint64_t>& checksums);
    void write_small(IndexEntry entry, const ContentSource& content, ByteView header,
                     RecordRun& records);
    void hold(IndexEntry entry, RecordRun& records);
    void release(uint64_t offset, uint32_t stored);
    void note_stored();
    void record(const IndexEntry& entry, RecordRun& records);
    void finish_full();

    PackSet& packs_;
    RecordRun& records_;
    std::optional<PackSet::OpenPack> pack_;
    uint64_t noted_ = 0;
    std::optional<RecordRun> of_pack_;  ///< what the pack has, where full packs are described
    // Entries whose last frame is being filled: its stored length comes when it is sent.
    std::vector<std::pair<IndexEntry, RecordRun*>> held_;
};

}  // namespace ark
