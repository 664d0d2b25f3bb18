#include "core/restore/file_queue.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace ark {

namespace {

// What lies between is fetched along rather than left out.
constexpr uint64_t kGapBytes = 1 << 20;

// The file whose ground the work is a part of; null where it is of several.
const LayeredFile* file_of(const FileWork& work) {
    return work.ground && work.files.size() == 1 ? work.files.front().piece->file.get() : nullptr;
}

// Two lanes that write one file wait for its inode: each rather has a file of its own.
std::vector<FileWork> gather_ground(std::vector<FileWork> all) {
    std::vector<FileWork> out;
    for (size_t i = 0, next = 0; i < all.size(); i = next) {
        const LayeredFile* const file = file_of(all[i]);
        for (next = i + 1; next < all.size() && file != nullptr && file_of(all[next]) == file;)
            ++next;
        if (next == i + 1) {
            out.push_back(std::move(all[i]));
            continue;
        }
        FileWork work{all[i].pack, all[next - 1].end};
        work.backup = all[i].backup;
        work.ground = true;
        work.parts = std::make_shared<WorkParts>(std::deque<FileWork>(
            std::make_move_iterator(all.begin() + static_cast<ptrdiff_t>(i)),
            std::make_move_iterator(all.begin() + static_cast<ptrdiff_t>(next))));
        out.push_back(std::move(work));
    }
    return out;
}

}  // namespace

bool WorkParts::has_parts() const {
    const std::lock_guard lock(mutex_);
    return !parts_.empty();
}

std::optional<FileWork> WorkParts::next() {
    const std::lock_guard lock(mutex_);
    if (parts_.empty())
        return std::nullopt;
    FileWork part = std::move(parts_.front());
    parts_.pop_front();
    return part;
}

uint64_t FileItem::begin() const {
    if (piece)
        return piece->frames.empty() ? 0 : piece->frames.front().ref.offset;
    return entry.frames.empty() ? 0 : entry.frames.front().offset;
}

uint64_t FileItem::end() const {
    const auto end_of = [](const FrameRef& ref) { return ref.offset + ref.stored; };
    if (piece)
        return piece->frames.empty() ? 0 : end_of(piece->frames.back().ref);
    return entry.frames.empty() ? 0 : end_of(entry.frames.back());
}

uint32_t FileItem::skip() const {
    if (piece)
        return piece->frames.empty() ? 0 : piece->frames.front().skip;
    return entry.skip;
}

std::vector<FileWork> cut_into_work(std::vector<FileItem> files, uint64_t bytes_each, bool share) {
    std::sort(files.begin(), files.end(), [](const FileItem& a, const FileItem& b) {
        return std::tuple(!a.is_ground(), a.backup(), a.pack(), a.begin(), a.skip()) <
               std::tuple(!b.is_ground(), b.backup(), b.pack(), b.begin(), b.skip());
    });
    std::vector<FileWork> all;
    uint64_t bytes = 0;
    uint64_t last_frame = 0;
    for (FileItem& item : files) {
        const uint64_t end = item.end();
        const uint32_t pack = item.pack();
        const size_t backup = item.backup();
        if (share && !item.piece && LargeFile::suits(item.entry)) {
            all.push_back({pack, end, {}, std::make_shared<LargeFile>(std::move(item.entry))});
            continue;
        }
        const bool shares_frame = item.begin() == last_frame && end > 0;
        if (all.empty() || all.back().large || all.back().pack != pack ||
            all.back().backup != backup || all.back().ground != item.is_ground() ||
            (bytes >= bytes_each && !shares_frame) ||
            (all.back().end > 0 && item.begin() >= all.back().end + kGapBytes)) {
            all.push_back({pack, 0});
            all.back().backup = backup;
            all.back().ground = item.is_ground();
            bytes = 0;
        }
        if (end > 0) {
            last_frame =
                item.piece ? item.piece->frames.back().ref.offset : item.entry.frames.back().offset;
            all.back().end = std::max(all.back().end, end);
        }
        bytes += item.bytes();
        all.back().files.push_back(std::move(item));
    }
    return share ? gather_ground(std::move(all)) : all;
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
    changed_.wait(lock, [&] {
        return abandoned_ || failure_ || closed_ || !work_.empty() || can_help() ||
               can_help_with_ground();
    });
    if (abandoned_ || failure_)
        return std::nullopt;
    // Who took what is above the ground would wait for it.
    if ((work_.empty() || !work_.front().ground) && can_help_with_ground()) {
        FileWork work{0, 0};
        work.ground = true;
        work.parts = begun_ground_.front();
        work.helping = true;
        return work;
    }
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
    if (work.parts)
        begun_ground_.push_back(work.parts);
    changed_.notify_all();
    return work;
}

bool FileQueue::can_help() {
    std::erase_if(begun_, [](const auto& large) { return !large->has_parts(); });
    return !begun_.empty();
}

bool FileQueue::can_help_with_ground() {
    std::erase_if(begun_ground_, [](const auto& parts) { return !parts->has_parts(); });
    return !begun_ground_.empty();
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
