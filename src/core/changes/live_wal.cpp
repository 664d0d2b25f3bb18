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
template <typename Visit>
void LiveWal::for_each_file(uint64_t number, const Visit& visit) const {
    const Lsn begin = number * segment_size_;
    std::vector<TimelineId> timelines = way_.timelines();
    std::ranges::reverse(timelines);
    for (const TimelineId timeline : timelines) {
        if (way_.begin_of(timeline) / segment_size_ > number || way_.end_of(timeline) <= begin)
            continue;
        const std::string path = directory_ + "/" + segment_name({timeline, number}, segment_size_);
        auto file = File::open_if_exists(path, O_RDONLY);
        if (file && static_cast<uint64_t>(file->stat().st_size) == segment_size_ &&
            visit(Found{std::make_shared<const File>(std::move(*file)), timeline}))
            return;
    }
}

// Whether the file has this segment. Else it is one that is used anew, and not written to yet.
bool LiveWal::has_segment(Found& found, uint64_t number) const {
    std::array<std::byte, kLongPageHeader> header{};
    const size_t got = found.file->pread_full(header, 0);
    const auto facts = decode_segment_facts(ByteView(header).first(got));
    if (!facts || facts->first.address != number * segment_size_ ||
        facts->segment_size != segment_size_ || facts->first.timeline > found.timeline)
        return false;
    found.page_size = facts->page_size;
    return true;
}

std::optional<LiveWal::Found> LiveWal::find(uint64_t number) const {
    if (number * segment_size_ >= flushed_)
        return std::nullopt;
    const auto held = held_.find(number);
    if (held != held_.end()) {
        Found found = held->second;
        if (has_segment(found, number))
            return found;
    }
    std::optional<Found> out;
    for_each_file(number, [&](Found found) {
        if (has_segment(found, number))
            out = std::move(found);
        return out.has_value();
    });
    return out;
}

void LiveWal::hold(uint64_t first, size_t most) {
    held_.erase(held_.begin(), held_.lower_bound(first));
    uint64_t number = held_.empty() ? first : held_.rbegin()->first + 1;
    for (; held_.size() < most; ++number) {
        bool is_there = false;
        for_each_file(number, [&](Found found) {
            held_.emplace(number, std::move(found));
            return is_there = true;
        });
        if (!is_there && number * segment_size_ >= flushed_)
            return;
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
