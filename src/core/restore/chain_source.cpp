#include "core/restore/chain_source.hpp"

#include <algorithm>
#include <utility>

#include "core/base/crc32c.hpp"

namespace ark {

namespace {

constexpr uint64_t kStretchBytes = 8 << 20;
// In path order small files of one backup come from the packs of its lanes by turns.
constexpr size_t kFramesOfABackup = 2;
constexpr size_t kFewestFrames = 16;
constexpr size_t kMostFrames = 128;

}  // namespace

/// What one backup gives to the file that is read.
struct ChainSource::Part {
    MemberPart plan;
    std::vector<FrameShare> frames;
    std::vector<bool> checked;  ///< of the frames
    size_t next = 0;            ///< the first extent that has not been given as a whole
    IndexEntry member;          ///< without frames
};

ChainSource::ChainSource(Repository& repository, const BackupChain& chain)
    : chain_(chain), source_(repository, chain) {}

void ChainSource::read(const ChainEntry& file, const std::function<void(ByteView)>& use) {
    if (file.entry.incremental) {
        read_layers(file, use);
    } else {
        read_whole(file.entry, use);
    }
}

void ChainSource::read_whole(const IndexEntry& entry, const std::function<void(ByteView)>& use) {
    if (entry.frames.size() == 1) {
        // It may share the frame with the files beside it.
        Part part{{0, &entry, {}}, frames_of(entry, chain_.tip().backup_id), {false}, 0, entry};
        if (!part.frames.empty())
            use(share(part, 0, 0));
        return;
    }
    if (!entry.frames.empty())
        source_.open(0, entry.pack, entry.frames.back().offset + entry.frames.back().stored);
    source_.read(entry, use);
}

void ChainSource::read_layers(const ChainEntry& file, const std::function<void(ByteView)>& use) {
    FilePlan plan = plan_file(file, chain_);
    std::vector<Part> parts;
    for (MemberPart& part : plan.parts) {
        const IndexEntry& member = *part.member;
        auto frames = frames_of(member, chain_.backups[part.backup].backup_id);
        std::vector<bool> checked(frames.size());
        parts.push_back({std::move(part), std::move(frames), std::move(checked), 0, member});
        parts.back().member.frames.clear();
        parts.back().member.frame_crcs.clear();
        check_as_a_whole(parts.back());
    }
    const uint64_t size = file_size(file.entry);
    for (uint64_t begin = 0; begin < size; begin += kStretchBytes) {
        const uint64_t end = std::min(size, begin + kStretchBytes);
        buffer_.assign(end - begin, std::byte{0});
        for (Part& part : parts)
            fill(part, begin, end);
        use(buffer_);
    }
}

// What the part has of [begin, end) of the file; that comes in order.
void ChainSource::fill(Part& part, uint64_t begin, uint64_t end) {
    const auto& extents = part.plan.extents;
    const auto end_of = [](const FrameShare& f) { return f.ref.offset + f.ref.stored; };
    for (; part.next < extents.size() && extents[part.next].to < end; ++part.next) {
        const Extent& extent = extents[part.next];
        const uint64_t skipped = extent.to < begin ? begin - extent.to : 0;
        uint64_t from = extent.from + skipped;
        uint64_t to = extent.to + skipped;
        const uint64_t stop = std::min(extent.to + extent.bytes, end);
        const size_t last = (from + (stop - to) - 1) / kFrameBytes;
        while (to < stop) {
            const size_t number = part.frames.size() == 1 ? 0 : from / kFrameBytes;
            const FrameShare& frame = part.frames[number];
            const ByteView content =
                share(part, number, end_of(part.frames[std::min(last, part.frames.size() - 1)]));
            const uint64_t n = std::min(stop - to, frame.begin + frame.bytes - from);
            std::ranges::copy(content.subspan(from - frame.begin, n),
                              buffer_.begin() + static_cast<ptrdiff_t>(to - begin));
            from += n;
            to += n;
        }
        if (stop < extent.to + extent.bytes)
            return;
    }
}

// What the member has of a frame, checked the first time. `fetch_end`: what is needed of the pack,
// at least to the frame's end.
ByteView ChainSource::share(Part& part, size_t number, uint64_t fetch_end) {
    const FrameShare& frame = part.frames[number];
    const ByteView bytes = plain(part, frame.ref, fetch_end);
    if (part.checked[number])
        return bytes.subspan(frame.skip, frame.bytes);
    const ByteView content = source_.share_of(part.member, frame, bytes);
    part.checked[number] = true;
    return content;
}

ByteView ChainSource::plain(const Part& part, const FrameRef& ref, uint64_t fetch_end) {
    const FrameKey key{part.plan.backup, part.member.pack, ref.offset};
    const auto found = cached_.find(key);
    if (found != cached_.end()) {
        recent_.splice(recent_.begin(), recent_, found->second);
        return recent_.front().second;
    }
    source_.open(part.plan.backup, part.member.pack, std::max(fetch_end, ref.offset + ref.stored));
    const ByteView bytes = source_.plain_frame(part.member, ref);
    const size_t room =
        std::clamp(kFramesOfABackup * chain_.backups.size(), kFewestFrames, kMostFrames);
    if (recent_.size() >= room) {
        cached_.erase(recent_.back().first);
        recent_.pop_back();
    }
    recent_.emplace_front(key, Bytes(bytes.begin(), bytes.end()));
    cached_[key] = recent_.begin();
    return recent_.front().second;
}

// An index may be without checksums of frames.
void ChainSource::check_as_a_whole(Part& part) {
    if (std::ranges::all_of(part.frames, [](const FrameShare& f) { return f.crc32c.has_value(); }))
        return;
    uint32_t crc = 0;
    const FrameRef& last = part.frames.back().ref;
    for (size_t i = 0; i < part.frames.size(); ++i)
        crc = crc32c(crc, share(part, i, last.offset + last.stored));
    if (crc != part.member.crc32c)
        throw damaged_member(part.member, chain_.backups[part.plan.backup].backup_id, "checksum");
}

}  // namespace ark
