#include "core/base/crc32c.hpp"
#include "core/repo/object_reader.hpp"
#include "core/repo/vault.hpp"
#include "test/fuzz/repository.hpp"
#include "test/fuzz/target.hpp"

namespace ark::fuzz {
namespace {

const std::string kPlace = "tail/x/y";
const std::string kOtherPlace = "tail/x/z";

// Two objects of one cluster, in two places. Their keys are new in each process: an input is not
// the object but what somebody does to it.
struct Cluster {
    Cluster() {
        const auto keyring = std::make_shared<const OpenKeyring>(
            OpenKeyring::make(kCluster, {KeySecret::Type::key, SecretBytes(32, std::byte{1})}));
        for (int i = 0; i < 9000; ++i)
            plain.push_back(static_cast<std::byte>(i % 251));
        vault = std::make_shared<const Vault>(keyring);
        object = seal(kPlace, plain, *vault);
        other = seal(kOtherPlace, bytes_of("something else"), *vault);
        sealed_to = seal(kPlace, plain, Vault({keyring->recipient()}));
    }
    static Bytes seal(const std::string& place, ByteView content, const Vault& with) {
        ObjectSealer sealer(1);
        const ByteView out = sealer.seal(
            {ObjectKind::tail, place, kCipherNone, content.size(), content_hash(content), {}},
            content, &with);
        return {out.begin(), out.end()};
    }

    std::shared_ptr<const Vault> vault;
    Bytes plain;
    Bytes object;
    Bytes other;
    Bytes sealed_to;
};
const Cluster& cluster() {
    static const Cluster made;
    return made;
}

// Who changes an object changes its checksums with it.
void mend(Bytes& object) {
    if (object.size() < 20)
        return;
    size_t offset = 8 + static_cast<size_t>(load<uint32_t>(object, 4));
    if (offset < 20 || offset > object.size())
        return;
    store<uint32_t>(object, 16, crc32c(0, ByteView(object).subspan(20, offset - 20)));
    while (object.size() - offset >= FrameCipher::kOverhead) {
        const size_t length = 8 + static_cast<size_t>(load<uint32_t>(object, offset + 4));
        if (length < FrameCipher::kBefore || length > object.size() - offset)
            return;
        store<uint32_t>(object, offset + 8,
                        crc32c(0, ByteView(object).subspan(offset + 12, length - 12)));
        offset += length;
    }
}

Bytes cut(ByteView from, size_t at, size_t length) {
    at = std::min(at, from.size());
    const ByteView piece = from.subspan(at, std::min(length, from.size() - at));
    return {piece.begin(), piece.end()};
}

void edit(Bytes& object, Input& input) {
    const auto what = input.take<uint8_t>();
    const size_t at = input.take<uint16_t>() % (object.size() + 1);
    const size_t length = input.take<uint16_t>();
    const auto place = object.begin() + static_cast<ptrdiff_t>(at);
    switch (what % 6) {
        case 0:
            if (at < object.size())
                *place ^= static_cast<std::byte>(length);
            break;
        case 1:
            object.resize(at);
            break;
        case 2:
            object.erase(place,
                         place + static_cast<ptrdiff_t>(std::min(length, object.size() - at)));
            break;
        case 3: {  // a part of the object itself
            const Bytes piece = cut(object, input.take<uint16_t>(), length);
            object.insert(place, piece.begin(), piece.end());
            break;
        }
        case 4: {  // a part of another object
            const Bytes piece = cut(cluster().other, input.take<uint16_t>(), length);
            object.insert(place, piece.begin(), piece.end());
            break;
        }
        default: {
            const ByteView piece = input.take_bytes(length % 64);
            object.insert(place, piece.begin(), piece.end());
        }
    }
}

void check(const Bytes& object) {
    Bytes plain;
    if (answers([&] {
            plain = open_object(object, ObjectKind::tail, kPlace, 1 << 20, cluster().vault.get());
        }))
        require(plain == cluster().plain, "what is opened is what was sealed");
}

void run(ByteView bytes) {
    Input input(bytes);
    Bytes object = input.take<uint8_t>() % 2 == 0 ? cluster().object : cluster().sealed_to;
    while (!input.empty() && object.size() < 40000)
        edit(object, input);
    check(object);
    mend(object);
    check(object);
}

std::vector<Bytes> seeds() {
    return seeds_of({std::string_view("\0", 1), std::string_view("\0\0\x40\x01\x01\0", 6),
                     std::string_view("\1\1\x40\x01\0\0", 6),
                     std::string_view("\0\3\x40\x01\x20\0\0\1", 8),
                     std::string_view("\1\4\x40\x01\x20\0\0\1", 8),
                     std::string_view("\0\5\x30\0\x04\0abcd", 10)});
}

const Target target("encrypted_object", seeds, run);

}  // namespace
}  // namespace ark::fuzz
