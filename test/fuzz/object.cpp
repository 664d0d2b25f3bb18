#include "core/repo/object.hpp"

#include "core/base/crc32c.hpp"
#include "core/repo/frame_cipher.hpp"
#include "core/repo/object_reader.hpp"
#include "test/fuzz/repository.hpp"
#include "test/fuzz/target.hpp"

namespace ark::fuzz {
namespace {

constexpr uint64_t kLimit = 4 << 20;
const std::string kPlace = "tail/x/y";

ObjectHeader header_for(ByteView plain) {
    return {ObjectKind::tail, kPlace, kCipherNone, plain.size(), content_hash(plain), {}};
}

std::vector<Bytes> seeds() {
    const Bytes text = bytes_of("a line\nanother line\n");
    Bytes two = seal_object(header_for(text), text, 1);
    append(two, ByteView(two).subspan(parse_header(two, "x").frame_bytes));
    Bytes frames(400);
    FrameCipher cipher(Bytes(32), Bytes(32));
    size_t size = cipher.seal(text, 0, frames);
    size += cipher.seal_end(text.size(), 1, size, MutableByteView(frames).subspan(size));
    frames.resize(size);
    return {seal_object(header_for(text), text, 1), two, frames};
}

// The checksum of the first frame, where there is one: what lies behind it is reached then.
void mend(MutableByteView frame) {
    if (frame.size() < FrameCipher::kBefore)
        return;
    const size_t length = 8 + static_cast<size_t>(load<uint32_t>(frame, 4));
    if (length >= FrameCipher::kBefore && length <= frame.size())
        store<uint32_t>(
            frame, 8,
            crc32c(0, frame.subspan(FrameCipher::kBefore, length - FrameCipher::kBefore)));
}

void run_sealed_frames(ByteView input) {
    Bytes frames(input.begin(), input.end());
    mend(frames);
    answers([&] { return check_sealed_frames(frames, 0, "x"); });
    FrameCipher cipher(Bytes(32), Bytes(32));
    answers([&] { return cipher.open(frames, 0, "x"); });
    answers([&] { return cipher.check_end(frames, 0, 1, 1, "x"); });
}

// Frame by frame, as long as there are any.
void read_all(Repository& repository) {
    answers([&] {
        ObjectReader reader(repository.store(), kCluster, ObjectKind::tail, kPlace);
        while (reader.next()) {
        }
    });
    answers([&] {
        ObjectReader reader(repository.store(), kCluster, ObjectKind::tail, kPlace);
        LineReader lines(reader);
        while (lines.next()) {
        }
    });
}

void run(ByteView input) {
    answers([&] {
        const Bytes plain = open_object(input, ObjectKind::tail, kPlace, kLimit);
        require(plain.size() <= kLimit, "an object is not longer than it may be");
    });
    // What it is, and then frames that are the input.
    Bytes stored = encode_header(header_for(as_bytes("a line\nanother line\n")));
    append(stored, input);
    answers([&] { return open_object(stored, ObjectKind::tail, kPlace, kLimit); });
    if (!input.empty() && input.size() % 8 == 0) {  // it takes megabytes each time
        const auto repository = empty_repository();
        repository->store().put_if_absent(kCluster + "/" + kPlace, stored);
        read_all(*repository);
    }
    run_sealed_frames(input);
}

const Target target("object", seeds, run);

}  // namespace
}  // namespace ark::fuzz
