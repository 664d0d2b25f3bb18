#include "core/restore/large_file.hpp"

#include <algorithm>
#include <utility>

#include "core/base/crc32c.hpp"

namespace ark {

namespace {

constexpr size_t kPartFrames = 16;
constexpr uint64_t kPartBytes = kPartFrames * kFrameBytes;

uint64_t part_bytes(const IndexEntry& entry, size_t number) {
    return std::min(kPartBytes, entry.size - number * kPartBytes);
}

}  // namespace

bool LargeFile::suits(const IndexEntry& entry) {
    return entry.size > kPartBytes && entry.skip == 0 &&
           entry.frames.size() == (entry.size + kFrameBytes - 1) / kFrameBytes;
}

LargeFile::LargeFile(IndexEntry entry)
    : entry_(std::move(entry)), crcs_((entry_.size + kPartBytes - 1) / kPartBytes) {}

bool LargeFile::has_parts() const {
    const std::lock_guard lock(mutex_);
    return next_ < crcs_.size();
}

std::optional<LargeFile::Part> LargeFile::next() {
    Part part;
    {
        const std::lock_guard lock(mutex_);
        if (next_ == crcs_.size())
            return std::nullopt;
        part.number = next_++;
    }
    part.offset = part.number * kPartBytes;
    part.entry.path = entry_.path;
    part.entry.pack = entry_.pack;
    part.entry.size = part_bytes(entry_, part.number);
    const auto first = entry_.frames.begin() + static_cast<ptrdiff_t>(part.number * kPartFrames);
    const auto count = static_cast<ptrdiff_t>((part.entry.size + kFrameBytes - 1) / kFrameBytes);
    part.entry.frames.assign(first, first + count);
    part.end = part.entry.frames.back().offset + part.entry.frames.back().stored;
    return part;
}

File& LargeFile::file(const std::function<File()>& make) {
    const std::lock_guard lock(mutex_);
    if (!file_.is_open())
        file_ = make();
    return file_;
}

std::optional<uint32_t> LargeFile::written(const Part& part, uint32_t crc) {
    const std::lock_guard lock(mutex_);
    crcs_[part.number] = crc;
    if (++written_ < crcs_.size())
        return std::nullopt;
    uint32_t whole = 0;
    for (size_t n = 0; n < crcs_.size(); ++n)
        whole = crc32c_of_both(whole, crcs_[n], part_bytes(entry_, n));
    return whole;
}

}  // namespace ark
