#include "core/restore/piece_writer.hpp"

#include <algorithm>
#include <utility>

#include "core/base/crc32c.hpp"
#include "core/pipeline/content_hash.hpp"

namespace ark {

namespace {

// What lies between two frames that differ is fetched along, up to that.
constexpr uint64_t kGapBytes = 128 << 10;

// So much is written again by a newer piece rather than left out: a call of its own costs more.
constexpr uint64_t kFilledBytes = 32 << 10;

uint64_t end_of(const FrameShare& frame) {
    return frame.ref.offset + frame.ref.stored;
}

/// A frame, and what of it goes into the file.
struct Share {
    FrameShare frame;
    std::vector<Extent> extents;
};

// What lies between them is as far in the content as in the file.
bool lie_close(const Extent& a, const Extent& b) {
    const uint64_t gap = b.to - (a.to + a.bytes);
    return gap == b.from - (a.from + a.bytes) && gap <= kFilledBytes;
}

}  // namespace

std::optional<PieceWriter::Result> PieceWriter::write(const FilePiece& piece, File& file,
                                                      const std::function<bool()>& abandoned) {
    result_ = {};
    bool done = false;
    if (piece.checksums && piece.file->was_there() && fetch_checksums(piece))
        return compare_blocks(piece, file, abandoned) ? std::optional(std::move(result_))
                                                      : std::nullopt;
    if (piece.compare && piece.file->was_there()) {
        done = compare(piece, file, abandoned);
        if (!done && !abandoned())
            result_ = {};
    }
    if (!done && !fetch(piece, file, abandoned))
        return std::nullopt;
    return std::move(result_);
}

bool PieceWriter::fetch(const FilePiece& piece, File& file,
                        const std::function<bool()>& abandoned) {
    uint32_t crc = 0;
    bool stopped = false;
    const bool sum_up = piece.whole && std::ranges::any_of(piece.frames, [](const auto& frame) {
                            return !frame.crc32c;
                        });
    for_each_frame(piece.frames, piece.extents, [&](const auto& frame, const auto& extents) {
        stopped = stopped || abandoned();
        if (stopped || (extents.empty() && !sum_up))
            return;
        ready_(end_of(piece.frames.back()));
        const ByteView content = source_.read_frame(piece, frame);
        if (sum_up)
            crc = crc32c(crc, content);
        put(content, frame, extents, piece.layer, file);
    });
    if (!stopped && sum_up && crc != piece.member.crc32c)
        throw source_.damaged(piece.member, "checksum");
    return !stopped;
}

void PieceWriter::put(ByteView content, const FrameShare& frame, const std::vector<Extent>& extents,
                      Layer layer, File& file) {
    for (size_t i = 0, next = 0; i < extents.size(); i = next) {
        const Extent& first = extents[i];
        for (next = i + 1; next < extents.size() && layer == Layer::ground &&
                           lie_close(extents[next - 1], extents[next]);)
            ++next;
        const Extent& last = extents[next - 1];
        file.pwrite_all(
            content.subspan(first.from - frame.begin, last.from + last.bytes - first.from),
            first.to);
    }
    for (const Extent& extent : extents) {
        const ByteView bytes = content.subspan(extent.from - frame.begin, extent.bytes);
        const bool checked = frame.crc32c && bytes.size() == frame.bytes;
        result_.written.push_back(
            {extent.to, extent.bytes, checked ? *frame.crc32c : crc32c(0, bytes)});
        result_.bytes += extent.bytes;
    }
}

// A frame whose content the file has as it should be, by its CRC-32C, is not fetched. 32 bits are
// too few to call content equal, so the whole member has to have its XXH3-128 too, whatever of it
// was fetched; where it has not, all is fetched. False then.
bool PieceWriter::compare(const FilePiece& piece, File& file,
                          const std::function<bool()>& abandoned) {
    const Bytes header = header_of(piece.member, source_.chain().tip().block_size);
    buffer_.resize(kFrameBytes);
    ContentHash hash;
    uint32_t crc = 0;
    bool stopped = false;
    // Where the one before was fetched, the next ones may have to be.
    uint64_t fetched_end = 0;
    for_each_frame(piece.frames, piece.extents, [&](const auto& frame, const auto& extents) {
        stopped = stopped || abandoned();
        if (stopped)
            return;
        ByteView content;
        if (is_all_used(frame, extents, header.size()) &&
            gather(header, frame, extents, file, nullptr)) {
            content = ByteView(buffer_).first(frame.bytes);
        } else {
            constexpr uint64_t kAhead = 2 * kFrameBytes;
            const uint64_t end = end_of(frame);
            ready_(frame.ref.offset == fetched_end
                       ? std::min(end + kAhead, end_of(piece.frames.back()))
                       : end);
            fetched_end = end;
            content = source_.read_frame(piece, frame);
            put(content, frame, extents, Layer::above, file);
        }
        hash.update(content);
        crc = crc32c(crc, content);
    });
    return !stopped && crc == piece.member.crc32c && hash.finish() == piece.member.xxh128;
}

bool PieceWriter::fetch_checksums(const FilePiece& piece) {
    return piece.checksums->fetch(
        [&] {
            ready_(piece.checksums->end());
            return source_.block_checksums(piece.member, piece.checksums->refs());
        },
        [&](const Error& error) { result_.bad_checksums = error; });
}

// A frame is fetched where one of its blocks that are needed is not in the file: all are looked at
// first, so that frames next to each other are fetched together.
bool PieceWriter::compare_blocks(const FilePiece& piece, File& file,
                                 const std::function<bool()>& abandoned) {
    const Bytes header = header_of(piece.member, source_.chain().tip().block_size);
    buffer_.resize(kFrameBytes);
    std::vector<Share> differ;
    bool stopped = false;
    for_each_frame(piece.frames, piece.extents, [&](const auto& frame, const auto& extents) {
        stopped = stopped || abandoned();
        if (!stopped && !gather(header, frame, extents, file, piece.checksums.get()))
            differ.push_back({frame, extents});
    });
    for (size_t i = 0; i < differ.size() && !stopped;) {
        size_t last = i;
        while (last + 1 < differ.size() &&
               differ[last + 1].frame.ref.offset <= end_of(differ[last].frame) + kGapBytes)
            ++last;
        for (const uint64_t end = end_of(differ[last].frame); i <= last && !stopped; ++i) {
            ready_(end);
            put(source_.read_frame(piece, differ[i].frame), differ[i].frame, differ[i].extents,
                Layer::above, file);
            stopped = abandoned();
        }
    }
    return !stopped;
}

// The frame's content as the file would have it, in the buffer. False where it is not that: then
// nothing of it counts. With checksums of blocks the content may have gaps.
bool PieceWriter::gather(ByteView header, const FrameShare& frame,
                         const std::vector<Extent>& extents, const File& file,
                         const MemberChecksums* checksums) {
    const MutableByteView content = MutableByteView(buffer_).first(frame.bytes);
    if (frame.begin < header.size()) {
        const size_t n = std::min<uint64_t>(header.size() - frame.begin, frame.bytes);
        std::ranges::copy(header.subspan(frame.begin, n), content.begin());
    }
    for (const Extent& extent : extents) {
        const MutableByteView part = content.subspan(extent.from - frame.begin, extent.bytes);
        if (file.pread_full(part, extent.to) != part.size())
            return false;
    }
    const bool whole = checksums == nullptr || is_all_used(frame, extents, header.size());
    if (whole && frame.crc32c && crc32c(0, content) != *frame.crc32c)
        return false;
    if (checksums != nullptr && !std::ranges::all_of(extents, [&](const Extent& extent) {
            return checksums->match(extent.from,
                                    content.subspan(extent.from - frame.begin, extent.bytes));
        }))
        return false;
    for (const Extent& extent : extents) {
        const ByteView part = content.subspan(extent.from - frame.begin, extent.bytes);
        result_.written.push_back({extent.to, extent.bytes, crc32c(0, part)});
        result_.bytes += extent.bytes;
        result_.reused += extent.bytes;
    }
    return true;
}

}  // namespace ark
