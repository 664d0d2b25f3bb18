#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "core/repo/index.hpp"
#include "core/restore/large_file.hpp"
#include "core/restore/layered_file.hpp"

namespace ark {

/// A file that is read as a whole, or a piece of one that several backups of a chain have.
struct FileItem {
    FileItem(IndexEntry whole) : entry(std::move(whole)) {}  // NOLINT(google-explicit-constructor)
    FileItem(FilePiece&& of_several)                         // NOLINT(google-explicit-constructor)
        : piece(std::make_shared<FilePiece>(std::move(of_several))) {}

    size_t backup() const { return piece ? piece->backup : 0; }
    uint32_t pack() const { return piece ? piece->member.pack : entry.pack; }
    uint64_t begin() const;  ///< of its first frame in the pack; 0 without frames
    uint64_t end() const;    ///< of its last
    uint32_t skip() const;
    uint64_t bytes() const { return piece ? piece->bytes() : entry.size; }
    bool is_ground() const { return piece && piece->layer == Layer::ground; }

    IndexEntry entry{};  ///< of the whole one
    std::shared_ptr<FilePiece> piece{};
};

class WorkParts;

/// Files of one pack that one lane writes, in the order of their place in the pack.
struct FileWork {
    uint32_t pack = 0;
    uint64_t end = 0;  ///< in the pack, after the last frame needed
    std::vector<FileItem> files{};
    /// Instead of files: one that lanes may share. Who got it first takes part after part.
    std::shared_ptr<LargeFile> large = nullptr;
    bool helping = false;  ///< somebody else got it first: take one part, then ask again
    size_t backup = 0;     ///< in the chain: whose pack it is
    bool ground = false;   ///< all of it: no piece of it waits for another
    /// Instead of files: the pieces of one file's ground, which lanes may share likewise.
    std::shared_ptr<WorkParts> parts = nullptr;
};

/// Work that lanes take part after part. Thread-safe.
class WorkParts {
 public:
    explicit WorkParts(std::deque<FileWork> parts) : parts_(std::move(parts)) {}

    bool has_parts() const;
    /// nullopt after the last.
    std::optional<FileWork> next();

 private:
    mutable std::mutex mutex_;
    std::deque<FileWork> parts_;
};

/// Orders a batch of files by their place and cuts it into pieces of work, where possible between
/// two frames, so that no frame is read by two lanes, and where much lies between that nobody
/// needs. What is of the ground comes first, so that who waits for it waits for what a lane has.
/// Where `share` says so large files are pieces of their own, to be shared. Pure.
std::vector<FileWork> cut_into_work(std::vector<FileItem> files, uint64_t bytes_each, bool share);

/// From the reader of the index to the lanes. Bounded; the first failure ends it for all.
class FileQueue {
 public:
    explicit FileQueue(size_t capacity) : capacity_(capacity) {}

    /// False when it did not get room within `patience`: call again. Rethrows a lane's failure.
    bool push(FileWork& work, std::chrono::milliseconds patience);
    /// No more will come.
    void close();
    /// Waits until all lanes have ended; false when `patience` has passed before.
    bool wait_for_lanes(int lanes, std::chrono::milliseconds patience);

    /// For lanes: new work, or where there is none, or none but what waits for the ground, a large
    /// file that another lane has begun. nullopt when there is no more, or another has failed.
    std::optional<FileWork> pop();
    void lane_ended(std::exception_ptr failure);
    /// Makes lanes stop at the next pop.
    void abandon();
    bool abandoned() const;
    void rethrow_failure();

 private:
    bool can_help();
    bool can_help_with_ground();

    const size_t capacity_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<FileWork> work_;
    std::vector<std::shared_ptr<LargeFile>> begun_;
    std::vector<std::shared_ptr<WorkParts>> begun_ground_;
    std::exception_ptr failure_;
    int ended_ = 0;
    bool closed_ = false;
    bool abandoned_ = false;
};

}  // namespace ark
