#include "core/restore/file_lanes.hpp"

#include <chrono>
#include <utility>

#include "core/base/error.hpp"

namespace ark {

namespace {

// A batch is large, so that few frames lie at its edge; its entries bound the memory: a frame takes
// 16 bytes, a path some 40.
constexpr uint64_t kBatchBytes = 256 << 20;
constexpr size_t kBatchFiles = 16384;
// Of a chain each backup gives a little to most files: the more of them come together, the fewer
// requests these take, and there is more than one large file, so that lanes have one each.
constexpr uint64_t kChainBatchBytes = 4ULL << 30;
constexpr size_t kChainBatchMemory = 24 << 20;
constexpr size_t kFrameMemory = sizeof(FrameRef) + sizeof(uint32_t);
constexpr uint64_t kWorkBytes = 16 << 20;
constexpr size_t kQueueLength = 64;
constexpr std::chrono::milliseconds kTick{200};

void run_lane(FileQueue& queue, const std::function<std::unique_ptr<FileLane>()>& make) {
    std::exception_ptr failure;
    try {
        const std::unique_ptr<FileLane> lane = make();
        while (const auto work = queue.pop())
            lane->take(*work, [&] { return queue.abandoned(); });
    } catch (...) {
        failure = std::current_exception();
    }
    queue.lane_ended(failure);
}

// Files in the order of the index, until there are enough to put in the order of the packs.
class Batch {
 public:
    Batch(FileLanes& lanes, bool share, uint64_t bytes)
        : lanes_(lanes), share_(share), batch_bytes_(bytes) {}

    void add(IndexEntry entry) {
        bytes_ += entry.size;
        memory_ += sizeof(FileItem) + entry.path.size() + entry.frames.size() * kFrameMemory;
        files_.emplace_back(std::move(entry));
        if (bytes_ >= batch_bytes_ || files_.size() >= kBatchFiles || memory_ >= kChainBatchMemory)
            flush();
    }
    void add(std::vector<FilePiece> pieces) {
        for (FilePiece& piece : pieces) {
            bytes_ += piece.bytes();
            memory_ += sizeof(FileItem) + piece.memory();
            files_.emplace_back(std::move(piece));
        }
        if (bytes_ >= batch_bytes_ || memory_ >= kChainBatchMemory)
            flush();
    }
    void flush() {
        for (FileWork& work : cut_into_work(std::exchange(files_, {}), kWorkBytes, share_))
            lanes_.push(std::move(work));
        bytes_ = 0;
        memory_ = 0;
    }

 private:
    FileLanes& lanes_;
    const bool share_;
    const uint64_t batch_bytes_;
    std::vector<FileItem> files_;
    uint64_t bytes_ = 0;
    size_t memory_ = 0;
};

}  // namespace

FileLanes::FileLanes(int jobs, const std::function<std::unique_ptr<FileLane>()>& make,
                     std::function<void()> tick)
    : queue_(kQueueLength), tick_(std::move(tick)) {
    try {
        for (int i = 0; i < jobs; ++i)
            threads_.emplace_back([this, make] { run_lane(queue_, make); });
    } catch (...) {
        stop();
        throw;
    }
}

FileLanes::~FileLanes() {
    stop();
}

void FileLanes::stop() {
    queue_.abandon();
    for (std::thread& thread : threads_)
        thread.join();
}

void FileLanes::push(FileWork work) {
    while (!queue_.push(work, kTick))
        tick_();
}

void FileLanes::finish() {
    queue_.close();
    while (!queue_.wait_for_lanes(static_cast<int>(threads_.size()), kTick))
        tick_();
    queue_.rethrow_failure();
    tick_();
}

void push_files(Repository& repository, const BackupMarker& backup, FileLanes& lanes,
                const std::function<void(const IndexEntry&)>& directory) {
    Batch batch(lanes, false, kBatchBytes);
    try {
        IndexReader reader(repository, backup.cluster, backup.backup_id, backup.index_sha256);
        while (auto entry = reader.next()) {
            if (entry->type == EntryType::directory) {
                directory(*entry);
            } else {
                batch.add(std::move(*entry));
            }
        }
    } catch (const Error& error) {
        if (error.code == ErrorCode::corrupt)
            batch.flush();
        throw;
    }
    batch.flush();
}

void push_restored_files(Repository& repository, const BackupChain& chain, FileLanes& lanes,
                         bool delta, RestoredChecksums& checksums,
                         const std::function<void(const IndexEntry&)>& directory) {
    Batch batch(lanes, !delta, chain.is_incremental() ? kChainBatchBytes : kBatchBytes);
    ChainReader reader(repository, chain);
    while (auto file = reader.next()) {
        if (file->entry.type == EntryType::directory) {
            directory(file->entry);
        } else if (file->entry.incremental) {
            batch.add(cut_into_pieces(*file, chain, delta, checksums.add()));
        } else {
            batch.add(std::move(file->entry));
        }
    }
    batch.flush();
}

}  // namespace ark
