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
    Batch(FileLanes& lanes, bool share) : lanes_(lanes), share_(share) {}

    void add(IndexEntry entry) {
        bytes_ += entry.size;
        files_.push_back(std::move(entry));
        if (bytes_ >= kBatchBytes || files_.size() >= kBatchFiles)
            flush();
    }
    void flush() {
        for (FileWork& work : cut_into_work(std::exchange(files_, {}), kWorkBytes, share_))
            lanes_.push(std::move(work));
        bytes_ = 0;
    }

 private:
    FileLanes& lanes_;
    const bool share_;
    std::vector<IndexEntry> files_;
    uint64_t bytes_ = 0;
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

void push_files(Repository& repository, const BackupMarker& backup, FileLanes& lanes, bool share,
                const std::function<void(const IndexEntry&)>& directory) {
    Batch batch(lanes, share);
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

}  // namespace ark
