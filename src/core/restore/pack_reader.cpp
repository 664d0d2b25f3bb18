#include "core/restore/pack_reader.hpp"

#include <algorithm>

#include "core/base/error.hpp"

namespace ark {

namespace {

// One request: large enough that its latency does not count, small enough for a buffer a lane.
constexpr size_t kFetchBytes = 4 << 20;

}  // namespace

PackReader::PackReader(Repository& repository, std::string cluster, std::string backup_id)
    : repository_(repository),
      cluster_(std::move(cluster)),
      backup_id_(std::move(backup_id)),
      window_(kFetchBytes + FrameCompressor::max_frame_bytes()),
      plain_(kFrameBytes) {}

void PackReader::open(uint32_t number, uint64_t end) {
    end_ = end;
    if (!name_.empty() && number == number_)
        return;
    const std::string place = place::pack(backup_id_, number);
    const std::string name = cluster_ + "/" + place;
    name_.clear();  // one that was refused is refused again
    window_size_ = 0;
    plain_offset_ = 0;
    const auto header = read_header(repository_.store(), name);
    if (!header) {
        throw Error(ErrorCode::not_found, "object \"" + name + "\" does not exist",
                    "Backup " + backup_id_ + " is not whole: this pack is missing.",
                    "Restore another backup (\"pg_ark list\").");
    }
    if (header->kind != ObjectKind::pack || header->place != place) {
        throw Error(ErrorCode::corrupt, "object \"" + name + "\" is damaged",
                    "It is an object of another place: \"" + header->place + "\".");
    }
    name_ = name;
    number_ = number;
}

// Makes the window begin at `offset` and hold `at_least` bytes, as far as the object has them.
void PackReader::fetch(uint64_t offset, uint64_t at_least) {
    if (offset >= window_offset_ && offset <= window_offset_ + window_size_) {
        const size_t skip = offset - window_offset_;
        std::copy(window_.begin() + static_cast<ptrdiff_t>(skip),
                  window_.begin() + static_cast<ptrdiff_t>(window_size_), window_.begin());
        window_size_ -= skip;
    } else {
        window_size_ = 0;
    }
    window_offset_ = offset;
    const uint64_t wanted_end = std::max(std::min(end_, offset + kFetchBytes), offset + at_least);
    const uint64_t have_end = window_offset_ + window_size_;
    if (wanted_end <= have_end)
        return;
    const size_t n = std::min<uint64_t>(wanted_end - have_end, window_.size() - window_size_);
    const size_t got = repository_.store().get_range(
        name_, have_end, MutableByteView(window_).subspan(window_size_, n));
    window_size_ += got;
    fetched_ += got;
}

ByteView PackReader::stored_frame(const FrameRef& ref) {
    if (ref.stored == 0 || ref.stored > FrameCompressor::max_frame_bytes()) {
        throw Error(ErrorCode::corrupt, "the index of backup " + backup_id_ + " is damaged",
                    "It has a frame of " + std::to_string(ref.stored) + " bytes.");
    }
    const auto in_window = [&] {
        return ref.offset >= window_offset_ &&
               ref.offset + ref.stored <= window_offset_ + window_size_;
    };
    if (!in_window())
        fetch(ref.offset, ref.stored);
    if (!in_window()) {
        throw Error(ErrorCode::corrupt, "object \"" + name_ + "\" is damaged",
                    "It ends before byte " + std::to_string(ref.offset + ref.stored) + ".");
    }
    return ByteView(window_).subspan(ref.offset - window_offset_, ref.stored);
}

ByteView PackReader::frame(const FrameRef& ref) {
    if (plain_offset_ != ref.offset) {
        plain_offset_ = 0;
        const ByteView stored = stored_frame(ref);
        plain_size_ = decompressor_.decompress(stored, plain_, name_);
        plain_offset_ = ref.offset;
    }
    return ByteView(plain_).first(plain_size_);
}

}  // namespace ark
