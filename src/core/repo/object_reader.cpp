#include "core/repo/object_reader.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/error.hpp"
#include "core/repo/vault_store.hpp"

namespace ark {

ObjectReader::ObjectReader(ObjectStore& store, const std::string& cluster, ObjectKind kind,
                           const std::string& place, size_t fetch_bytes)
    : store_(store),
      name_(cluster + "/" + place),
      fetch_bytes_(fetch_bytes),
      // Many readers of small objects use little of it, and of what is fetched: neither is filled
      // with zeros.
      plain_(std::make_unique_for_overwrite<std::byte[]>(kFrameBytes)) {
    check_header(cluster, kind, place);
}

Error ObjectReader::damaged(const std::string& what) const {
    return {ErrorCode::corrupt, "object \"" + name_ + "\" is damaged", what};
}

// Appends the next stored bytes; false at the end of the object. The store gives fewer than were
// asked for only there.
bool ObjectReader::fetch() {
    if (all_fetched_)
        return false;
    const ByteView before = rest();
    const size_t needed = before.size() + fetch_bytes_;
    if (needed <= stored_room_) {
        std::memmove(stored_.get(), before.data(), before.size());
    } else {
        auto larger = std::make_unique_for_overwrite<std::byte[]>(needed);
        std::ranges::copy(before, larger.get());
        stored_ = std::move(larger);
        stored_room_ = needed;
    }
    stored_bytes_ -= consumed_;
    consumed_ = 0;
    const size_t n = store_.get_range(name_, offset_,
                                      MutableByteView(stored_.get() + stored_bytes_, fetch_bytes_));
    stored_bytes_ += n;
    offset_ += n;
    all_fetched_ = n < fetch_bytes_;
    return n > 0;
}

void ObjectReader::check_header(const std::string& cluster, ObjectKind kind,
                                const std::string& place) {
    fetch();
    const ParsedHeader parsed = parse_header(rest(), name_);
    if (parsed.header.kind != kind || parsed.header.place != place) {
        throw damaged("It is an object of another place: \"" + parsed.header.place + "\".");
    }
    cipher_ = cipher_of(vault_of(store_, cluster).get(), parsed, name_);
    consumed_ = parsed.frame_bytes;
}

// The zstd frame; empty for the last one of an encrypted object.
ByteView ObjectReader::open_frame(ByteView frame) {
    if (!cipher_)
        return frame;
    const uint64_t offset = offset_ - stored_bytes_ + consumed_;
    if (ended_)
        throw damaged("It goes on behind its last frame.");
    ended_ = is_end_frame(frame);
    if (!ended_)
        return cipher_->open(frame, offset, name_);
    cipher_->check_end(frame, offset, plain_bytes_, frames_, name_);
    return {};
}

std::optional<ByteView> ObjectReader::next() {
    for (;;) {
        const ByteView stored = rest();
        const auto length = stored.empty() ? std::nullopt : frame_length(stored, name_);
        if (length) {
            const ByteView frame = open_frame(stored.first(*length));
            const MutableByteView room(plain_.get(), kFrameBytes);
            const size_t n = ended_ ? 0 : decompressor_.decompress(frame, room, name_);
            consumed_ += *length;
            if (ended_)
                continue;
            plain_bytes_ += n;
            ++frames_;
            const ByteView plain = room.first(n);
            digest_.update(plain);
            return plain;
        }
        if (stored.size() > FrameCompressor::max_frame_bytes() + FrameCipher::kOverhead)
            throw damaged("It has a frame that is longer than frames are.");
        if (fetch())
            continue;
        if (!stored.empty())
            throw damaged("It ends in the middle of a frame.");
        if (cipher_ && !ended_)
            throw damaged("It has no last frame: it was cut off.");
        return std::nullopt;
    }
}

void ObjectReader::check_digest(const std::string& sha256) {
    if (digest_.finish() != sha256)
        throw damaged("Its content does not match the digest in the backup's marker.");
}

std::optional<std::string_view> LineReader::next() {
    size_t newline = 0;
    while ((newline = text_.find('\n', used_)) == std::string::npos) {
        if (text_.size() - used_ > longest_)
            throw object_.damaged("It has a line that is longer than lines are.");
        const auto frame = object_.next();
        if (!frame) {
            if (used_ != text_.size())
                throw object_.damaged("It ends in the middle of a line.");
            return std::nullopt;
        }
        text_.erase(0, used_);
        used_ = 0;
        text_ += as_text(*frame);
    }
    const std::string_view line = std::string_view(text_).substr(used_, newline - used_);
    used_ = newline + 1;
    return line;
}

}  // namespace ark
