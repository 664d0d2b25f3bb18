#include "core/restore/layered_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "core/base/crc32c.hpp"
#include "core/base/error.hpp"
#include "core/restore/tree.hpp"

namespace ark {

namespace {

constexpr size_t kPieceFrames = 16;
// What is fetched along with what is needed rather than asked for again.
constexpr uint64_t kGapBytes = 1 << 20;
// Between two looks at whether the restore was abandoned.
constexpr std::chrono::milliseconds kPatience{50};

IndexEntry without_frames(const IndexEntry& e) {
    IndexEntry out;
    out.path = e.path;
    out.mode = e.mode;
    out.modified = e.modified;
    out.size = e.size;
    out.crc32c = e.crc32c;
    out.xxh128 = e.xxh128;
    out.pack = e.pack;
    return out;
}

uint32_t crc_of_zeros(uint64_t bytes) {
    const Bytes zeros(std::min<uint64_t>(bytes, kFrameBytes));
    uint32_t crc = 0;
    for (uint64_t done = 0; done < bytes;) {
        const size_t n = std::min<uint64_t>(zeros.size(), bytes - done);
        crc = crc32c(crc, ByteView(zeros).first(n));
        done += n;
    }
    return crc;
}

uint64_t stored_end(const FrameShare& frame) {
    return frame.ref.offset + frame.ref.stored;
}

// Where one backup has the whole file its index has the checksum.
std::optional<uint32_t> checksum_of(const ChainEntry& file, const FilePlan& plan) {
    if (plan.parts.size() != 1 || plan.parts.front().member->incremental ||
        plan.parts.front().member->size != file_size(file.entry) || !plan.zeros.empty())
        return std::nullopt;
    return plan.parts.front().member->crc32c;
}

/// Cuts what one backup gives to a file.
class PartCutter {
 public:
    /// `lowest`: nothing older gives anything. `delta`: what is there is not to be written over by
    /// what is older.
    PartCutter(const MemberPart& part, const BackupChain& chain, bool lowest, bool delta)
        : part_(part),
          block_bytes_(chain.tip().block_size),
          frames_(frames_of(*part.member, chain.backups[part.backup].backup_id)),
          layer_(lowest && !delta && suits_the_ground(chain) ? Layer::ground : Layer::above) {}

    Layer layer() const { return layer_; }

    void cut(bool delta, std::vector<FilePiece>& pieces) {
        const bool comparable = delta && part_.member->xxh128.is_known();
        const bool by_blocks = delta && checksums_pay();
        if (frames_.size() > 1 && part_.member->frame_crcs.empty()) {
            add_whole(comparable, pieces);
        } else if (comparable && (is_all_there() || (!by_blocks && comparing_pays()))) {
            add_whole(true, pieces);
        } else {
            add_needed(by_blocks ? std::make_shared<MemberChecksums>(*part_.member, block_bytes_)
                                 : nullptr,
                       pieces);
        }
    }

 private:
    // The content of a whole member lies as in the file, and it gives every block before its end
    // that nothing newer has: what lies between two of its extents is written by newer pieces, and
    // zeros are behind it. All that the full backup has comes together, by the place in its packs;
    // a small member of a later one shares its frame with what is not of the ground, and would have
    // it read twice.
    bool suits_the_ground(const BackupChain& chain) const {
        return !part_.member->incremental &&
               (part_.backup + 1 == chain.backups.size() || frames_.size() > 1);
    }

    FilePiece empty_piece() const {
        FilePiece piece;
        piece.backup = part_.backup;
        piece.layer = layer_;
        piece.member = without_frames(*part_.member);
        return piece;
    }

    void add_whole(bool compare, std::vector<FilePiece>& pieces) const {
        FilePiece piece = empty_piece();
        piece.frames = frames_;
        piece.extents = part_.extents;
        piece.whole = true;
        piece.compare = compare;
        piece.member.incremental = part_.member->incremental;
        pieces.push_back(std::move(piece));
    }

    struct FrameCounts {
        size_t needed = 0;
        uint64_t needed_bytes = 0;  ///< stored
        size_t not_there = 0;       ///< what the file cannot have as a whole
    };
    FrameCounts count() const {
        const uint64_t header = header_end(*part_.member, block_bytes_);
        FrameCounts out;
        for_each_frame(frames_, part_.extents, [&](const auto& frame, const auto& extents) {
            out.needed += extents.empty() ? 0 : 1;
            out.needed_bytes += extents.empty() ? 0 : frame.ref.stored;
            out.not_there += is_all_used(frame, extents, header) ? 0 : 1;
        });
        return out;
    }

    // Then nothing but what differs is fetched, not even checksums.
    bool is_all_there() const { return count().not_there == 0; }

    // All frames that the file cannot have as a whole are fetched then, so that the member's
    // checksum can be computed.
    bool comparing_pays() const {
        const FrameCounts counts = count();
        return counts.not_there < counts.needed;
    }

    // They are fetched whether or not the file turns out to have anything.
    bool checksums_pay() const {
        constexpr uint64_t kWorth = 4;
        uint64_t bytes = 0;
        for (const FrameRef& ref : part_.member->block_checksums)
            bytes += ref.stored;
        return bytes > 0 && bytes * kWorth <= count().needed_bytes;
    }

    void add_needed(const std::shared_ptr<MemberChecksums>& checksums,
                    std::vector<FilePiece>& pieces) const {
        size_t checksum_memory = checksums ? checksums->memory() : 0;
        std::optional<FilePiece> piece;
        for_each_frame(frames_, part_.extents, [&](const auto& frame, const auto& extents) {
            if (extents.empty())
                return;
            if (piece && (piece->frames.size() == kPieceFrames ||
                          frame.ref.offset >= stored_end(piece->frames.back()) + kGapBytes ||
                          frame.ref.offset < stored_end(piece->frames.back())))
                pieces.push_back(std::move(*std::exchange(piece, std::nullopt)));
            if (!piece) {
                piece = empty_piece();
                piece->checksums = checksums;
                piece->checksum_memory = std::exchange(checksum_memory, 0);
            }
            if (frame.begin == 0)
                piece->member.incremental = part_.member->incremental;
            piece->frames.push_back(frame);
            piece->extents.insert(piece->extents.end(), extents.begin(), extents.end());
        });
        if (piece)
            pieces.push_back(std::move(*piece));
    }

    const MemberPart& part_;
    const uint32_t block_bytes_;
    const std::vector<FrameShare> frames_;
    const Layer layer_;
};

}  // namespace

size_t RestoredChecksums::add() {
    const std::lock_guard lock(mutex_);
    all_.push_back(0);
    return all_.size() - 1;
}
void RestoredChecksums::set(size_t number, uint32_t crc) {
    const std::lock_guard lock(mutex_);
    all_.at(number) = crc;
}
uint32_t RestoredChecksums::at(size_t number) const {
    const std::lock_guard lock(mutex_);
    return all_.at(number);
}
void RestoredChecksums::set_label(uint64_t bytes, uint32_t crc) {
    const std::lock_guard lock(mutex_);
    label_ = {bytes, crc};
}
std::optional<std::pair<uint64_t, uint32_t>> RestoredChecksums::label() const {
    const std::lock_guard lock(mutex_);
    return label_;
}

LayeredFile::LayeredFile(IndexEntry entry, std::vector<Extent> zeros, size_t pieces, size_t ground,
                         size_t number)
    : entry_(std::move(entry)),
      zeros_(std::move(zeros)),
      number_(number),
      pieces_left_(pieces),
      ground_left_(ground) {
    for (const Extent& run : zeros_)
        written_.push_back({run.to, run.bytes, crc_of_zeros(run.bytes)});
}

std::optional<File> LayeredFile::open(const std::string& path, bool may_be_there, Layer layer,
                                      const std::function<bool()>& abandoned) {
    std::unique_lock lock(mutex_);
    if (layer == Layer::ground && ground_left_ == 0) {
        throw Error(ErrorCode::internal,
                    "file \"" + entry_.path + "\" was about to be written over by older content");
    }
    while (layer == Layer::above && ground_left_ > 0) {
        if (abandoned())
            return std::nullopt;
        ground_is_written_.wait_for(lock, kPatience);
    }
    if (!made_)
        make(path, may_be_there);
    made_ = true;
    return File::open(path, O_RDWR | O_NOFOLLOW);
}

uint64_t LayeredFile::zero_bytes() const {
    uint64_t sum = 0;
    for (const Extent& run : zeros_)
        sum += run.bytes;
    return sum;
}

bool LayeredFile::was_there() const {
    const std::lock_guard lock(mutex_);
    return was_there_;
}

void LayeredFile::make(const std::string& path, bool may_be_there) {
    std::optional<File> file;
    if (may_be_there)
        file = take_over(path);
    was_there_ = file.has_value();
    if (!file) {
        if (may_be_there && ::unlink(path.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR)
            throw system_error(errno, "could not remove file \"" + path + "\"");
        file = make_file(path);
    }
    if (::ftruncate(file->fd(), static_cast<off_t>(file_size(entry_))) != 0)
        throw system_error(errno, "could not set the size of file \"" + path + "\"");
    if (!was_there_)
        return;
    for (const Extent& run : zeros_) {
        const Bytes zeros(std::min<uint64_t>(run.bytes, kFrameBytes));
        for (uint64_t done = 0; done < run.bytes; done += zeros.size()) {
            const size_t n = std::min<uint64_t>(zeros.size(), run.bytes - done);
            file->pwrite_all(ByteView(zeros).first(n), run.to + done);
        }
    }
}

std::optional<File> LayeredFile::take_over(const std::string& path) const {
    const int fd = ::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return std::nullopt;
    File file(fd, path);
    if (!is_own_plain_file(file.stat()))
        return std::nullopt;
    // Clean pages of the cache may be better than what the disk has by now.
    static_cast<void>(::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
    return file;
}

std::optional<uint32_t> LayeredFile::written(Layer layer, const std::vector<WrittenBytes>& piece,
                                             uint64_t reused) {
    const std::lock_guard lock(mutex_);
    if (layer == Layer::ground && --ground_left_ == 0)
        ground_is_written_.notify_all();
    reused_ += reused;
    written_.insert(written_.end(), piece.begin(), piece.end());
    if (--pieces_left_ > 0)
        return std::nullopt;
    return checksum();
}

bool LayeredFile::all_reused() const {
    const std::lock_guard lock(mutex_);
    return was_there_ && reused_ == file_size(entry_);
}

// Nothing may be forgotten, or come twice.
uint32_t LayeredFile::checksum() {
    std::ranges::sort(written_, {}, &WrittenBytes::to);
    uint64_t end = 0;
    uint32_t crc = 0;
    for (const WrittenBytes& part : written_) {
        if (part.to != end)
            break;
        crc = crc32c_of_both(crc, part.crc32c, part.bytes);
        end += part.bytes;
    }
    if (end != file_size(entry_)) {
        throw Error(ErrorCode::internal, "file \"" + entry_.path + "\" was not written as a whole",
                    "What was written of it goes to byte " + std::to_string(end) + " of " +
                        std::to_string(file_size(entry_)) + ".");
    }
    written_ = {};
    if (expected_ && crc != *expected_) {
        throw Error(ErrorCode::corrupt, "file \"" + entry_.path + "\" is damaged",
                    "The checksum of what was restored is not what the index says.",
                    "Restore another backup (\"pg_ark list\").");
    }
    return crc;
}

uint64_t FilePiece::bytes() const {
    uint64_t sum = 0;
    for (const FrameShare& frame : frames)
        sum += frame.bytes;
    return sum;
}

size_t FilePiece::memory() const {
    // Extents become WrittenBytes of the file before these go.
    return sizeof(FilePiece) + sizeof(IndexEntry) + 2 * member.path.size() + checksum_memory +
           frames.size() * sizeof(FrameShare) +
           (member.incremental ? member.incremental->runs.size() * sizeof(BlockRun) : 0) +
           extents.size() * (sizeof(Extent) + sizeof(WrittenBytes));
}

std::vector<FilePiece> cut_into_pieces(const ChainEntry& file, const BackupChain& chain, bool delta,
                                       size_t number) {
    const FilePlan plan = plan_file(file, chain);
    std::vector<FilePiece> pieces;
    size_t ground = 0;
    for (const MemberPart& part : plan.parts) {
        PartCutter cutter(part, chain, &part == &plan.parts.back(), delta);
        const size_t before = pieces.size();
        cutter.cut(delta, pieces);
        if (cutter.layer() == Layer::ground)
            ground += pieces.size() - before;
    }
    if (pieces.empty()) {
        // Somebody has to make it.
        FilePiece piece;
        piece.member = without_frames(file.entry);
        pieces.push_back(std::move(piece));
    }
    const uint64_t block_bytes = chain.tip().block_size;
    std::vector<Extent> zeros;
    for (const BlockRun& run : plan.zeros)
        zeros.push_back({0, run.first * block_bytes, run.length * block_bytes});
    IndexEntry entry = without_frames(file.entry);
    entry.incremental = IncrementalContent{file_size(file.entry), {}};
    const auto layered = std::make_shared<LayeredFile>(std::move(entry), std::move(zeros),
                                                       pieces.size(), ground, number);
    if (const auto crc = checksum_of(file, plan))
        layered->expect(*crc);
    for (FilePiece& piece : pieces)
        piece.file = layered;
    return pieces;
}

Bytes header_of(const IndexEntry& member, uint32_t block_bytes) {
    if (!member.incremental)
        return {};
    const IncrementalContent& content = *member.incremental;
    return incremental_header(content.runs, static_cast<uint32_t>(content.file_size / block_bytes),
                              block_bytes);
}

uint64_t header_end(const IndexEntry& member, uint32_t block_bytes) {
    return member.incremental
               ? incremental_header_bytes(blocks_in(member.incremental->runs), block_bytes)
               : 0;
}

bool is_all_used(const FrameShare& frame, const std::vector<Extent>& extents, uint64_t header) {
    uint64_t used = std::clamp(header, frame.begin, frame.begin + frame.bytes) - frame.begin;
    for (const Extent& extent : extents)
        used += extent.bytes;
    return used == frame.bytes;
}

}  // namespace ark
