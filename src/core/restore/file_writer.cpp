#include "core/restore/file_writer.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

#include "core/base/crc32c.hpp"
#include "core/base/error.hpp"
#include "core/base/fault.hpp"
#include "core/restore/file_queue.hpp"
#include "core/restore/pack_reader.hpp"
#include "core/restore/tree.hpp"

namespace ark {

namespace {

// A batch is large, so that few frames lie at its edge; its entries bound the memory: a frame takes
// 16 bytes, a path some 40.
constexpr uint64_t kBatchBytes = 256 << 20;
constexpr size_t kBatchFiles = 16384;
constexpr uint64_t kWorkBytes = 16 << 20;
constexpr size_t kQueueLength = 64;
constexpr std::chrono::milliseconds kTick{200};
constexpr const char* kOtherBackupHint = "Restore another backup (\"pg_ark list\").";

class Lane {
 public:
    Lane(Repository& repository, const BackupMarker& backup, const Layout& layout,
         const Durability& durability, WriteCounters& counters, FileQueue& queue)
        : backup_(backup),
          layout_(layout),
          durability_(durability),
          counters_(counters),
          queue_(queue),
          reader_(repository, backup.cluster, backup.backup_id) {}

    void run() {
        while (const auto work = queue_.pop()) {
            if (work->end > 0)
                reader_.open(work->pack, work->end);
            for (const IndexEntry& entry : work->files) {
                if (queue_.abandoned())
                    return;
                write_or_explain(entry);
                ++counters_.files;
            }
        }
    }

 private:
    void write_or_explain(const IndexEntry& entry) {
        try {
            write(entry);
        } catch (Error& error) {
            if (error.code == ErrorCode::corrupt && error.hint.empty()) {
                error.detail += " File \"" + entry.path + "\" of the backup is in there.";
                error.hint = kOtherBackupHint;
            }
            throw;
        }
    }

    void write(const IndexEntry& entry) {
        const std::string path =
            layout_.path_of(entry.path == kControlPath ? kWaitingControlPath : entry.path);
        File file = create(path);
        uint64_t done = 0;
        uint32_t crc = 0;
        size_t skip = entry.skip;
        for (const FrameRef& ref : entry.frames) {
            const ByteView frame = reader_.frame(ref);
            if (skip >= frame.size() || done == entry.size)
                throw damaged(entry, "frames");
            const ByteView piece =
                frame.subspan(skip, std::min<uint64_t>(frame.size() - skip, entry.size - done));
            crc = crc32c(crc, piece);
            file.write_all(piece);
            done += piece.size();
            skip = 0;
            counters_.bytes += piece.size();
            counters_.fetched += reader_.fetched() - fetched_;
            fetched_ = reader_.fetched();
        }
        if (done != entry.size)
            throw damaged(entry, "size");
        if (crc != entry.crc32c)
            throw damaged(entry, "checksum");
        if (::fchmod(file.fd(), entry.mode & 07777) != 0) {
            throw system_error(errno, "could not change permissions of \"" + path + "\"");
        }
        durability_.file_written(file);
        PG_ARK_FAULT_POINT("restore_after_file");
    }

    // The index names directories before what is in them; one that it lacks is made all the same.
    static File create(const std::string& path) {
        constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
        try {
            return File::open(path, kFlags, 0600);
        } catch (const Error& error) {
            if (error.code != ErrorCode::not_found)
                throw;
        }
        make_directories(parent_directory(path), 0700);
        return File::open(path, kFlags, 0600);
    }

    Error damaged(const IndexEntry& entry, const std::string& what) const {
        return {ErrorCode::corrupt,
                "file \"" + entry.path + "\" of backup " + backup_.backup_id + " is damaged",
                "Its " + what + " in pack " + std::to_string(entry.pack) +
                    " is not what the index says.",
                kOtherBackupHint};
    }

    const BackupMarker& backup_;
    const Layout& layout_;
    const Durability& durability_;
    WriteCounters& counters_;
    FileQueue& queue_;
    PackReader reader_;
    uint64_t fetched_ = 0;
};

// The lanes' threads; the destructor stops and joins them.
class Lanes {
 public:
    explicit Lanes(FileQueue& queue) : queue_(queue) {}
    ~Lanes() {
        queue_.abandon();
        for (std::thread& thread : threads_)
            thread.join();
    }
    Lanes(const Lanes&) = delete;
    Lanes& operator=(const Lanes&) = delete;

    template <typename MakeLane>
    void start(const MakeLane& make_lane) {
        threads_.emplace_back([this, make_lane] {
            std::exception_ptr failure;
            try {
                make_lane().run();
            } catch (...) {
                failure = std::current_exception();
            }
            queue_.lane_ended(failure);
        });
    }
    int count() const { return static_cast<int>(threads_.size()); }

 private:
    FileQueue& queue_;
    std::vector<std::thread> threads_;
};

void make_directory_of(const IndexEntry& entry, const Layout& layout) {
    const std::string path = layout.path_of(entry.path);
    make_directories(path, 0700);
    if (::chmod(path.c_str(), entry.mode & 07777) != 0) {
        throw system_error(errno, "could not change permissions of \"" + path + "\"");
    }
}

}  // namespace

void write_files(Repository& repository, const BackupMarker& backup, const Layout& layout,
                 const Durability& durability, int jobs, WriteCounters& counters,
                 const std::function<void()>& tick) {
    FileQueue queue(kQueueLength);
    Lanes lanes(queue);
    for (int i = 0; i < jobs; ++i) {
        lanes.start([&] { return Lane(repository, backup, layout, durability, counters, queue); });
    }
    std::vector<IndexEntry> batch;
    uint64_t batch_bytes = 0;
    const auto flush = [&] {
        for (FileWork& work : cut_into_work(std::move(batch), kWorkBytes)) {
            while (!queue.push(work, kTick))
                tick();
        }
        batch.clear();
        batch_bytes = 0;
        tick();
    };
    IndexReader reader(repository, backup.cluster, backup.backup_id, backup.index_sha256);
    while (auto entry = reader.next()) {
        if (entry->type == EntryType::directory) {
            // Paths are in order, so a directory is made before a lane hears of what is in it.
            make_directory_of(*entry, layout);
            continue;
        }
        batch_bytes += entry->size;
        batch.push_back(std::move(*entry));
        if (batch_bytes >= kBatchBytes || batch.size() >= kBatchFiles)
            flush();
    }
    flush();
    queue.close();
    while (!queue.wait_for_lanes(lanes.count(), kTick))
        tick();
    queue.rethrow_failure();
    tick();
}

}  // namespace ark
