#include "core/restore/file_queue.hpp"

#include <algorithm>
#include <utility>

namespace ark {

namespace {

uint64_t first_frame(const IndexEntry& e) {
    return e.frames.empty() ? 0 : e.frames.front().offset;
}

}  // namespace

std::vector<FileWork> cut_into_work(std::vector<IndexEntry> files, uint64_t bytes_each,
                                    bool share) {
    std::sort(files.begin(), files.end(), [](const IndexEntry& a, const IndexEntry& b) {
        return std::tuple(a.pack, first_frame(a), a.skip) <
               std::tuple(b.pack, first_frame(b), b.skip);
    });
    std::vector<FileWork> all;
    uint64_t bytes = 0;
    uint64_t last_offset = 0;
    for (IndexEntry& e : files) {
        if (share && LargeFile::suits(e)) {
            const uint64_t end = e.frames.back().offset + e.frames.back().stored;
            all.push_back({e.pack, end, {}, std::make_shared<LargeFile>(std::move(e))});
            continue;
        }
        const bool shares_frame = first_frame(e) == last_offset && !e.frames.empty();
        if (all.empty() || all.back().large || all.back().pack != e.pack ||
            (bytes >= bytes_each && !shares_frame)) {
            all.push_back({e.pack, 0, {}});
            bytes = 0;
        }
        if (!e.frames.empty()) {
            last_offset = e.frames.back().offset;
            all.back().end = std::max(all.back().end, last_offset + e.frames.back().stored);
        }
        bytes += e.size;
        all.back().files.push_back(std::move(e));
    }
    return all;
}

bool FileQueue::push(FileWork& work, std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    const bool room =
        changed_.wait_for(lock, patience, [&] { return failure_ || work_.size() < capacity_; });
    if (failure_)
        std::rethrow_exception(failure_);
    if (!room)
        return false;
    work_.push_back(std::move(work));
    changed_.notify_all();
    return true;
}

void FileQueue::close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
}

bool FileQueue::wait_for_lanes(int lanes, std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, [&] { return ended_ == lanes; });
}

std::optional<FileWork> FileQueue::pop() {
    std::unique_lock lock(mutex_);
    changed_.wait(
        lock, [&] { return abandoned_ || failure_ || closed_ || !work_.empty() || can_help(); });
    if (abandoned_ || failure_)
        return std::nullopt;
    if (work_.empty()) {
        if (!can_help())
            return std::nullopt;
        const IndexEntry& entry = begun_.front()->entry();
        return FileWork{entry.pack, 0, {}, begun_.front(), true};
    }
    FileWork work = std::move(work_.front());
    work_.pop_front();
    if (work.large)
        begun_.push_back(work.large);
    changed_.notify_all();
    return work;
}

bool FileQueue::can_help() {
    std::erase_if(begun_, [](const auto& large) { return !large->has_parts(); });
    return !begun_.empty();
}

void FileQueue::lane_ended(std::exception_ptr failure) {
    const std::lock_guard lock(mutex_);
    ++ended_;
    if (failure && !failure_)
        failure_ = std::move(failure);
    changed_.notify_all();
}

void FileQueue::abandon() {
    const std::lock_guard lock(mutex_);
    abandoned_ = true;
    changed_.notify_all();
}

bool FileQueue::abandoned() const {
    const std::lock_guard lock(mutex_);
    return abandoned_ || failure_ != nullptr;
}

void FileQueue::rethrow_failure() {
    const std::lock_guard lock(mutex_);
    if (failure_)
        std::rethrow_exception(failure_);
}

}  // namespace ark
