#include "core/changes/live_wal.hpp"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/error.hpp"
#include "core/pgdata/wal_page.hpp"
#include "core/pgdata/wal_segment.hpp"

namespace ark {

LiveWal::LiveWal(const std::string& data_directory, TimelineHistory way, uint64_t segment_size,
                 Lsn flushed, LiveEnd end)
    : directory_(data_directory + "/pg_wal"),
      way_(std::move(way)),
      segment_size_(segment_size),
      flushed_(flushed),
      end_(end) {}

// As the server looks for them (XLogFileReadAnyTLI): the newest timeline's file has its ancestors'
// bytes as well.
std::optional<LiveWal::Found> LiveWal::find(uint64_t number) const {
    const Lsn begin = number * segment_size_;
    if (begin >= flushed_)
        return std::nullopt;
    const auto held = held_.find(number);
    if (held != held_.end())
        return held->second;
    std::vector<TimelineId> timelines = way_.timelines();
    std::ranges::reverse(timelines);
    for (const TimelineId timeline : timelines) {
        if (way_.begin_of(timeline) / segment_size_ > number || way_.end_of(timeline) <= begin)
            continue;
        const std::string path = directory_ + "/" + segment_name({timeline, number}, segment_size_);
        auto file = File::open_if_exists(path, O_RDONLY);
        if (!file || static_cast<uint64_t>(file->stat().st_size) != segment_size_)
            continue;
        std::array<std::byte, kLongPageHeader> header{};
        const size_t got = file->pread_full(header, 0);
        const auto facts = decode_segment_facts(ByteView(header).first(got));
        // Else it is one that is used anew, and not written to yet.
        if (facts && facts->first.address == begin && facts->segment_size == segment_size_ &&
            facts->first.timeline <= timeline)
            return Found{std::make_shared<const File>(std::move(*file)), timeline,
                         facts->page_size};
    }
    return std::nullopt;
}

void LiveWal::hold(uint64_t first, size_t most) {
    held_.erase(held_.begin(), held_.lower_bound(first));
    uint64_t number = held_.empty() ? first : held_.rbegin()->first + 1;
    for (; number * segment_size_ < flushed_ && held_.size() < most; ++number) {
        if (auto found = find(number))
            held_.emplace(number, std::move(*found));
    }
}

bool LiveWal::has(uint64_t number) const {
    return find(number).has_value();
}

std::optional<ByteView> LiveWal::read(uint64_t number) {
    const auto found = find(number);
    if (!found)
        return std::nullopt;
    const Lsn begin = number * segment_size_;
    const uint64_t more = end_ == LiveEnd::page ? found->page_size - 1 : 0;
    const uint64_t pages = (flushed_ - begin + more) / found->page_size;
    if (pages == 0)
        return std::nullopt;
    bytes_.resize(std::min(segment_size_, pages * found->page_size));
    if (found->file->pread_full(bytes_, 0) != bytes_.size())
        return std::nullopt;
    const Lsn end = way_.end_of(found->timeline);
    if (end < begin + bytes_.size())
        std::ranges::fill(MutableByteView(bytes_).subspan(end - begin), std::byte{0});
    return bytes_;
}

}  // namespace ark
