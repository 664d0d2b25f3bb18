#include "core/repo/object_writer.hpp"

#include <algorithm>
#include <utility>

#include "core/base/error.hpp"
#include "core/base/fault.hpp"

namespace ark {

ObjectWriter::ObjectWriter(ObjectStore& store, const std::string& cluster, ObjectKind kind,
                           const std::string& place, const Writer& writer, int level,
                           bool hash_plaintext)
    : name_(cluster + "/" + place),
      hash_plaintext_(hash_plaintext),
      compressor_(level),
      frame_(kFrameBytes),
      compressed_(FrameCompressor::max_frame_bytes()),
      upload_(store.start_upload(name_)) {
    send(encode_header({kind, place, "none", std::nullopt, {}, writer}));
}

void ObjectWriter::send(ByteView stored) {
    upload_->write(stored);
    stored_digest_.update(stored);
    stored_bytes_ += stored.size();
}

void ObjectWriter::advance(size_t n) {
    filled_ += n;
    if (filled_ == frame_.size())
        end_frame();
}

void ObjectWriter::append(ByteView bytes) {
    while (!bytes.empty()) {
        const MutableByteView free = room();
        const size_t n = std::min(free.size(), bytes.size());
        std::memcpy(free.data(), bytes.data(), n);
        advance(n);
        bytes = bytes.subspan(n);
    }
}

void ObjectWriter::end_frame() {
    if (filled_ == 0)
        return;
    const ByteView plain = ByteView(frame_).first(filled_);
    if (hash_plaintext_)
        plain_digest_.update(plain);
    const uint64_t offset = stored_bytes_;
    last_stored_ = static_cast<uint32_t>(compressor_.compress(plain, compressed_));
    send(ByteView(compressed_).first(last_stored_));
    frame_sent(offset, std::exchange(filled_, 0));
}

void ObjectWriter::send_frame(ByteView compressed, size_t plain_bytes) {
    const uint64_t offset = stored_bytes_;
    last_stored_ = static_cast<uint32_t>(compressed.size());
    send(compressed);
    frame_sent(offset, plain_bytes);
}

void ObjectWriter::frame_sent(uint64_t offset, size_t plain_bytes) {
    plain_bytes_ += plain_bytes;
    if (on_frame_)
        on_frame_(offset, last_stored_);
    PG_ARK_FAULT_POINT("object_frame_sent");
}

WrittenObject ObjectWriter::finish() {
    end_frame();
    PG_ARK_FAULT_POINT("object_before_finish");
    if (upload_->finish() == PutResult::exists) {
        throw Error(ErrorCode::conflict, "object \"" + name_ + "\" is in the repository already");
    }
    PG_ARK_FAULT_POINT("object_after_finish");
    return {plain_bytes_, stored_bytes_, hash_plaintext_ ? plain_digest_.finish() : std::string(),
            stored_digest_.finish()};
}

}  // namespace ark
