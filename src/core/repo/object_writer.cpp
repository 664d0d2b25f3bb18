#include "core/repo/object_writer.hpp"

#include <algorithm>
#include <utility>

#include "core/base/error.hpp"
#include "core/base/fault.hpp"
#include "core/repo/vault_store.hpp"

namespace ark {

ObjectWriter::ObjectWriter(ObjectStore& store, const std::string& cluster, ObjectKind kind,
                           const std::string& place, const Writer& writer, int level,
                           bool hash_plaintext)
    : name_(cluster + "/" + place),
      hash_plaintext_(hash_plaintext),
      compressor_(level),
      frame_(kFrameBytes),
      compressed_(FrameCompressor::max_frame_bytes() + FrameCipher::kOverhead),
      upload_(store.start_upload(name_)) {
    ObjectHeader header{kind, place, kCipherNone, std::nullopt, {}, writer};
    const std::shared_ptr<const Vault> vault = vault_of(store, cluster);
    const bool encrypts = vault && vault->encrypts();
    const SecretBytes data_key = encrypts ? vault->begin_object(header) : SecretBytes();
    const Bytes head = encode_header(header);
    if (encrypts)
        cipher_.emplace(vault->cipher(data_key, digest_of_header(head)));
    send(head);
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
    const MutableByteView room = MutableByteView(compressed_).subspan(FrameCipher::kBefore);
    send_compressed(compressor_.compress(plain, room));
    frame_sent(offset, std::exchange(filled_, 0));
}

// `n` bytes in compressed_, behind the room that encryption needs.
void ObjectWriter::send_compressed(size_t n) {
    const MutableByteView buffer = compressed_;
    const ByteView compressed = buffer.subspan(FrameCipher::kBefore, n);
    if (cipher_) {
        last_stored_ = static_cast<uint32_t>(cipher_->seal(compressed, stored_bytes_, buffer));
        send(buffer.first(last_stored_));
    } else {
        last_stored_ = static_cast<uint32_t>(n);
        send(compressed);
    }
}

void ObjectWriter::send_frame(ByteView compressed, size_t plain_bytes) {
    const uint64_t offset = stored_bytes_;
    send_made(compressed);
    frame_sent(offset, plain_bytes);
}

void ObjectWriter::send_aside(ByteView skippable) {
    send_made(skippable);
    ++frames_;
}

void ObjectWriter::send_made(ByteView frame) {
    if (cipher_) {
        std::ranges::copy(frame, compressed_.begin() + FrameCipher::kBefore);
        send_compressed(frame.size());
    } else {
        last_stored_ = static_cast<uint32_t>(frame.size());
        send(frame);
    }
}

void ObjectWriter::frame_sent(uint64_t offset, size_t plain_bytes) {
    plain_bytes_ += plain_bytes;
    ++frames_;
    if (on_frame_)
        on_frame_(offset, last_stored_);
    PG_ARK_FAULT_POINT("object_frame_sent");
}

WrittenObject ObjectWriter::finish() {
    end_frame();
    if (cipher_) {
        const MutableByteView buffer = compressed_;
        send(buffer.first(cipher_->seal_end(plain_bytes_, frames_, stored_bytes_, buffer)));
    }
    PG_ARK_FAULT_POINT("object_before_finish");
    if (upload_->finish() == PutResult::exists) {
        throw Error(ErrorCode::conflict, "object \"" + name_ + "\" is in the repository already");
    }
    PG_ARK_FAULT_POINT("object_after_finish");
    return {plain_bytes_, stored_bytes_, hash_plaintext_ ? plain_digest_.finish() : std::string(),
            stored_digest_.finish()};
}

}  // namespace ark
