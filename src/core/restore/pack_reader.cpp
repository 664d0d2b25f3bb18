#include "core/restore/pack_reader.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

#include "core/base/error.hpp"
#include "core/repo/block_checksums.hpp"
#include "core/repo/vault_store.hpp"

namespace ark {

namespace {

// One request: large enough that its latency does not count, small enough for two buffers a lane.
constexpr size_t kFetchBytes = 4 << 20;
// A request ends where a multiple of that does: stores keep objects in pieces whose sizes are, and
// what crosses a border costs them another read.
uint64_t request_end(uint64_t from) {
    return (from / kFetchBytes + 1) * kFetchBytes;
}
// Room before what is fetched, for the frame that begins in the window before.
const size_t kMaxStoredFrame = FrameCompressor::max_frame_bytes() + FrameCipher::kOverhead;
const size_t kHeadroom = kMaxStoredFrame;
constexpr size_t kKnownPacks = 256;

}  // namespace

PackReader::PackReader(Repository& repository, std::string cluster, std::string backup_id)
    : repository_(repository),
      cluster_(std::move(cluster)),
      backup_id_(std::move(backup_id)),
      plain_(kFrameBytes) {
    window_.bytes.resize(kHeadroom + kFetchBytes);
    next_.bytes.resize(kHeadroom + kFetchBytes);
}

void PackReader::use_backup(const std::string& backup_id) {
    if (backup_id == backup_id_)
        return;
    forget();
    name_.clear();
    backup_id_ = backup_id;
}

void PackReader::open(uint32_t number, uint64_t end) {
    end_ = end;
    if (!name_.empty() && number == number_)
        return;
    const std::string name = cluster_ + "/" + place::pack(backup_id_, number);
    forget();       // what is fetched ahead goes by the name
    name_.clear();  // one that was refused is refused again
    cipher_ =
        cipher_of(vault_of(repository_.store(), cluster_).get(), header_of(number, name), name);
    name_ = name;
    number_ = number;
}

const ParsedHeader& PackReader::header_of(uint32_t number, const std::string& name) {
    const auto found = known_.find(name);
    if (found != known_.end())
        return found->second;
    const std::string place = place::pack(backup_id_, number);
    auto parsed = read_parsed_header(repository_.store(), name);
    if (!parsed) {
        throw Error(ErrorCode::not_found, "object \"" + name + "\" does not exist",
                    "Backup " + backup_id_ + " is not whole: this pack is missing.",
                    "Restore another backup (\"pg_ark list\").");
    }
    if (parsed->header.kind != ObjectKind::pack || parsed->header.place != place) {
        throw Error(ErrorCode::corrupt, "object \"" + name + "\" is damaged",
                    "It is an object of another place: \"" + parsed->header.place + "\".");
    }
    if (known_.size() >= kKnownPacks)
        known_.clear();
    return known_[name] = std::move(*parsed);
}

void PackReader::forget() {
    if (ahead_.valid())
        ahead_.wait();
    ahead_ = {};
    window_.begin = window_.end = 0;
    window_.offset = 0;
    plain_offset_ = 0;
}

size_t PackReader::read_into_next(uint64_t from, uint64_t size) {
    return repository_.store().get_range(name_, from,
                                         MutableByteView(next_.bytes).subspan(kHeadroom, size));
}

// Makes the window begin at `offset` and hold `at_least` bytes, as far as the object has them; at
// most a frame's beginning is there already.
void PackReader::fetch(uint64_t offset, uint64_t at_least) {
    const size_t kept = offset >= window_.offset && offset < window_.object_end()
                            ? window_.object_end() - offset
                            : 0;
    const uint64_t from = offset + kept;
    const bool goes_on = window_.end == 0 || from == window_.object_end();
    size_t got = 0;
    if (ahead_.valid() && ahead_from_ == from) {
        got = ahead_.get();
    } else {
        if (ahead_.valid())
            ahead_.wait();
        ahead_ = {};
        const uint64_t to = std::max(std::min(end_, request_end(from)), offset + at_least);
        got = read_into_next(from, to - from);
    }
    fetched_ += got;
    std::copy_n(window_.bytes.begin() + static_cast<ptrdiff_t>(window_.end - kept), kept,
                next_.bytes.begin() + static_cast<ptrdiff_t>(kHeadroom - kept));
    next_.begin = kHeadroom - kept;
    next_.end = kHeadroom + got;
    next_.offset = offset;
    std::swap(window_, next_);
    // Where something was jumped over, what comes next may be too.
    if (goes_on)
        fetch_ahead();
}

void PackReader::fetch_ahead() {
    ahead_from_ = window_.object_end();
    if (ahead_from_ >= end_)
        return;
    const uint64_t size = std::min(end_, request_end(ahead_from_)) - ahead_from_;
    try {
        ahead_ = std::async(std::launch::async, [this, from = ahead_from_, size] {
            return read_into_next(from, size);
        });
    } catch (const std::system_error&) {
        // Without a thread it is fetched when it is needed.
    }
}

ByteView PackReader::stored_frame(const FrameRef& ref) {
    if (ref.stored == 0 || ref.stored > kMaxStoredFrame) {
        throw Error(ErrorCode::corrupt, "the index of backup " + backup_id_ + " is damaged",
                    "It has a frame of " + std::to_string(ref.stored) + " bytes.");
    }
    // Twice, where what was fetched ahead ended with the work before this one.
    for (int i = 0; i < 2 && !window_.holds(ref.offset, ref.stored); ++i)
        fetch(ref.offset, ref.stored);
    if (!window_.holds(ref.offset, ref.stored)) {
        throw Error(ErrorCode::corrupt, "object \"" + name_ + "\" is damaged",
                    "It ends before byte " + std::to_string(ref.offset + ref.stored) + ".");
    }
    return ByteView(window_.bytes)
        .subspan(window_.begin + (ref.offset - window_.offset), ref.stored);
}

ByteView PackReader::opened_frame(const FrameRef& ref) {
    const ByteView stored = stored_frame(ref);
    return cipher_ ? cipher_->open(stored, ref.offset, name_) : stored;
}

void PackReader::read_checksums(const FrameRef& ref, std::vector<uint64_t>& checksums) {
    append_stored_checksums(opened_frame(ref), name_, checksums);
}

ByteView PackReader::frame(const FrameRef& ref) {
    if (plain_offset_ != ref.offset) {
        plain_offset_ = 0;
        plain_size_ = decompressor_.decompress(opened_frame(ref), plain_, name_);
        plain_offset_ = ref.offset;
    }
    return ByteView(plain_).first(plain_size_);
}

}  // namespace ark
