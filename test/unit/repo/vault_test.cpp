#include "core/repo/vault.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/crc32c.hpp"
#include "core/repo/marker.hpp"
#include "core/repo/object_reader.hpp"
#include "core/repo/object_writer.hpp"
#include "core/repo/repository.hpp"
#include "core/repo/vault_store.hpp"
#include "core/restore/pack_reader.hpp"
#include "test/support/expect_error.hpp"
#include "test/support/frames.hpp"
#include "test/support/sample_marker.hpp"
#include "test/support/store_decorator.hpp"

namespace ark {
namespace {

using test::edges_of;
using test::expect_error;
using test::mentions;
using test::part;
using test::together;

const std::string kCluster = "c";
const std::string kPlace = "wal/00000001/00000000/000000010000000000000001.zst";
const std::string kName = kCluster + "/" + kPlace;

std::shared_ptr<const OpenKeyring> keyring_of(int secret) {
    return std::make_shared<const OpenKeyring>(OpenKeyring::make(
        kCluster, {KeySecret::Type::key, SecretBytes(32, static_cast<std::byte>(secret))}));
}

// Half of it compresses.
Bytes content_of(size_t size, int seed = 1) {
    Bytes out(size);
    uint32_t state = static_cast<uint32_t>(seed) * 2654435761U;
    for (size_t i = 0; i < size; ++i) {
        state = state * 1664525 + 1013904223;
        out[i] = i % 2 == 0 ? std::byte{7} : static_cast<std::byte>(state >> 24);
    }
    return out;
}

std::string text_of(ByteView bytes) {
    return std::string(as_text(bytes));
}

// With another text in its header, and a CRC that fits: what anybody can make.
Bytes with_header(const Bytes& stored, const std::function<void(std::string&)>& change) {
    const size_t header = edges_of(stored)[1];
    std::string json = text_of(ByteView(stored).subspan(20, header - 20));
    change(json);
    Bytes head = part(stored, 0, 20);
    head.resize(20 + json.size());
    std::memcpy(head.data() + 20, json.data(), json.size());
    store<uint32_t>(head, 4, static_cast<uint32_t>(head.size() - 8));
    store<uint32_t>(head, 16, crc32c(0, as_bytes(json)));
    return together({head, part(stored, header, stored.size())});
}
void replace(std::string& text, const std::string& from, const std::string& to) {
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
}

// A cluster with a key: one host that reads and writes, one that may only write.
class VaultTest : public ::testing::Test {
 protected:
    static Bytes seal(const Vault& vault, ByteView plain, const std::string& place = kPlace,
                      ObjectKind kind = ObjectKind::wal) {
        ObjectSealer sealer(1);
        const ByteView out = sealer.seal(
            {kind, place, kCipherNone, plain.size(), content_hash(plain), {}}, plain, &vault);
        return {out.begin(), out.end()};
    }
    Bytes open(ByteView stored, const Vault* vault) const {
        return open_object(stored, ObjectKind::wal, kPlace, 16 << 20, vault);
    }
    Bytes open(ByteView stored) const { return open(stored, &full); }

    static StoreResult put(ObjectStore& store, ByteView plain, bool look_first = false) {
        ObjectSealer sealer(1);
        return store_object(store, kCluster, ObjectKind::wal, kPlace, plain, {}, sealer,
                            look_first);
    }

    // A place that keeps its objects when the store over it goes.
    static std::unique_ptr<ObjectStore> over(const std::shared_ptr<ObjectStore>& base,
                                             const std::shared_ptr<const Vault>& vault = {}) {
        std::unique_ptr<ObjectStore> store = std::make_unique<test::StoreDecorator>(
            base, [](const std::string&, const std::string&) {});
        return vault ? with_vault(std::move(store), kCluster, vault) : std::move(store);
    }
    static std::shared_ptr<const Vault> shared(std::shared_ptr<const OpenKeyring> ring,
                                               VaultOptions options = {}) {
        return std::make_shared<const Vault>(std::move(ring), options);
    }
    static std::shared_ptr<const Vault> recipient_of(const OpenKeyring& ring) {
        return std::make_shared<const Vault>(std::vector<Recipient>{ring.recipient()});
    }

 public:
    std::shared_ptr<const OpenKeyring> keyring = keyring_of(1);
    Vault full{keyring};
    Vault writer{std::vector<Recipient>{keyring->recipient()}};
    std::shared_ptr<ObjectStore> base = make_memory_store();
};

TEST_F(VaultTest, ThereAndBack) {
    for (const size_t size :
         {0UL, 1UL, 1000UL, kFrameBytes - 1, kFrameBytes, kFrameBytes + 1, 3 * kFrameBytes}) {
        const Bytes plain = content_of(size);
        for (const Vault* vault : {&full, &writer}) {
            const Bytes stored = seal(*vault, plain);
            EXPECT_EQ(open(stored), plain) << size;
            const std::vector<size_t> edges = edges_of(stored);
            EXPECT_EQ(edges.size(), 3 + (size + kFrameBytes - 1) / kFrameBytes);
            const ObjectHeader header = parse_header(stored, "x").header;
            EXPECT_EQ(header.cipher, "aes-256-gcm");
            EXPECT_FALSE(header.hash.is_known());
            EXPECT_EQ(header.tag.size(), 64U);
        }
    }
    EXPECT_EQ(full.plain_objects(), 0U);
}

TEST_F(VaultTest, NothingOfTheContentIsThere) {
    const std::string secret = "the quick brown fox jumps over the lazy dog";
    for (const Vault* vault : {&full, &writer}) {
        const std::string stored = text_of(seal(*vault, as_bytes(secret)));
        EXPECT_FALSE(mentions(stored, "brown fox"));
        EXPECT_FALSE(mentions(stored, to_text(content_hash(as_bytes(secret)))));
    }
}

TEST_F(VaultTest, EveryBitFlipIsDamage) {
    const Bytes plain = content_of(200);
    for (const Vault* vault : {&full, &writer}) {
        Bytes stored = seal(*vault, plain);
        for (size_t bit = 0; bit < stored.size() * 8; ++bit) {
            stored[bit / 8] ^= std::byte{1} << (bit % 8);
            expect_error(
                ErrorCode::corrupt, [&] { return open(stored); }, std::to_string(bit));
            stored[bit / 8] ^= std::byte{1} << (bit % 8);
        }
        EXPECT_EQ(open(stored), plain);
        for (size_t size = 0; size < stored.size(); ++size) {
            expect_error(
                ErrorCode::corrupt, [&] { return open(ByteView(stored).first(size)); },
                std::to_string(size));
        }
    }
}

// A checksum that fits is what tells a forger from a fault; the tag refuses both.
TEST_F(VaultTest, EveryBitFlipThatItsMakerMadeFitIsRefused) {
    const Bytes stored = seal(full, content_of(200));
    const std::vector<size_t> edges = edges_of(stored);
    for (size_t frame = 1; frame + 1 < edges.size(); ++frame) {
        for (size_t bit = (edges[frame] + 12) * 8; bit < edges[frame + 1] * 8; ++bit) {
            Bytes forged = stored;
            forged[bit / 8] ^= std::byte{1} << (bit % 8);
            const ByteView sealed =
                ByteView(forged).subspan(edges[frame] + 12, edges[frame + 1] - edges[frame] - 12);
            ark::store<uint32_t>(forged, edges[frame] + 8, crc32c(0, sealed));
            const Error error = expect_error(ErrorCode::corrupt, [&] { return open(forged); });
            EXPECT_TRUE(mentions(error.detail, "somebody changed it")) << error.detail;
        }
    }
    const size_t header_bits = (edges[1] - 20) * 8;
    for (size_t bit = 0; bit < header_bits; ++bit) {
        const Bytes forged = with_header(stored, [&](std::string& json) {
            json[bit / 8] = static_cast<char>(json[bit / 8] ^ (1 << (bit % 8)));
        });
        EXPECT_THROW(open(forged), Error) << bit;
    }
}

TEST_F(VaultTest, FramesHaveTheirPlace) {
    const Bytes plain = content_of(4 * kFrameBytes);
    const Bytes one = seal(full, plain);
    const Bytes two = seal(full, plain);  // of the same size, frame by frame
    const std::vector<size_t> at = edges_of(one);
    ASSERT_EQ(at.size(), 7U);
    const auto frame = [&](const Bytes& of, size_t n) { return part(of, at[n], at[n + 1]); };
    const Bytes head = frame(one, 0);
    const auto refused = [&](const Bytes& stored, const std::string& what) {
        expect_error(
            ErrorCode::corrupt, [&] { return open(stored); }, what);
    };
    ASSERT_EQ(open(together({head, frame(one, 1), frame(one, 2), frame(one, 3), frame(one, 4),
                             frame(one, 5)})),
              plain);
    refused(
        together({head, frame(one, 2), frame(one, 1), frame(one, 3), frame(one, 4), frame(one, 5)}),
        "two swapped");
    refused(
        together({head, frame(one, 1), frame(one, 1), frame(one, 3), frame(one, 4), frame(one, 5)}),
        "one twice");
    refused(
        together({head, frame(one, 1), frame(two, 2), frame(one, 3), frame(one, 4), frame(one, 5)}),
        "one of another writing");
    refused(
        together({head, frame(two, 1), frame(two, 2), frame(two, 3), frame(two, 4), frame(two, 5)}),
        "another's header");
    refused(
        together({head, frame(one, 1), frame(one, 2), frame(one, 3), frame(one, 4), frame(two, 5)}),
        "another's end");
    refused(together({head, frame(one, 1), frame(one, 2), frame(one, 3), frame(one, 4),
                      frame(one, 5), frame(one, 5)}),
            "two ends");
    refused(together({one, Bytes(1)}), "a byte behind the end");
    refused(together({head, frame(one, 5)}), "nothing but the end");
    for (size_t edge = 1; edge + 1 < at.size(); ++edge)
        refused(part(one, 0, at[edge]), "cut off at edge " + std::to_string(edge));
    for (size_t without = 1; without < 6; ++without)
        refused(together({part(one, 0, at[without]), part(one, at[without + 1], one.size())}),
                "without frame " + std::to_string(without));
    // A data frame that calls itself the end, and the other way round.
    Bytes named = one;
    ark::store<uint32_t>(named, at[4], 0x184D2A5C);
    refused(named, "data called the end");
    named = one;
    ark::store<uint32_t>(named, at[5], 0x184D2A5B);
    refused(named, "the end called data");
    // Zstd frames and skippable ones that nobody encrypted.
    Bytes zstd(FrameCompressor::max_frame_bytes());
    zstd.resize(FrameCompressor(1).compress(as_bytes("evil"), zstd));
    refused(together({head, zstd, part(one, at[1], one.size())}), "a plain frame");
}

TEST_F(VaultTest, AnObjectHasItsName) {
    const std::string other = "wal/00000001/00000000/000000010000000000000002.zst";
    const Bytes plain = content_of(1000);
    const Bytes stored = seal(full, plain, other);
    expect_error(
        ErrorCode::corrupt, [&] { return open(stored); }, "renamed");
    expect_error(ErrorCode::corrupt, [&] {
        return open(with_header(stored, [&](std::string& json) { replace(json, other, kPlace); }));
    });
    const Bytes partial = seal(full, plain, kPlace, ObjectKind::partial);
    expect_error(
        ErrorCode::corrupt, [&] { return open(partial); }, "of another kind");
    expect_error(ErrorCode::corrupt, [&] {
        return open(with_header(
            partial, [&](std::string& json) { replace(json, "\"partial\"", "\"wal\""); }));
    });
    // An older object of the same name, whole: it is what was stored once, and nothing tells.
    EXPECT_EQ(open(seal(full, content_of(10))), content_of(10));
}

// Public keys are in the keyring for all to read, and anybody can seal to one.
TEST_F(VaultTest, WhoHasOnlyThePublicKeyMakesNoObject) {
    Recipient stranger = keyring->recipient();
    stranger.identity = random_secret(32);
    const Bytes forged = seal(Vault({stranger}), content_of(100));
    expect_error(ErrorCode::corrupt, [&] { return open(forged); });
    // Objects that are streamed have no tag that could give it away.
    const std::shared_ptr<const Vault> vault = shared(keyring);
    auto bad = over(base, std::make_shared<const Vault>(std::vector<Recipient>{stranger}));
    ObjectWriter out(*bad, kCluster, ObjectKind::index, "backup/b/index.zst", {}, 1, false);
    out.append(as_bytes("line\n"));
    out.finish();
    auto good = over(base, vault);
    ObjectReader in(*good, kCluster, ObjectKind::index, "backup/b/index.zst");
    expect_error(ErrorCode::corrupt, [&] { return in.next().has_value(); });
}

TEST_F(VaultTest, AWrongKeyIsNoDamage) {
    const Bytes stored = seal(full, content_of(100));
    const Vault other(keyring_of(2));
    for (const Vault* vault :
         {static_cast<const Vault*>(nullptr), &other, static_cast<const Vault*>(&writer)}) {
        const Error error =
            expect_error(ErrorCode::invalid_key, [&] { return open(stored, vault); });
        EXPECT_TRUE(mentions(error.detail, keyring->keyring().current)) << error.detail;
    }
    // The key's id is there, and the key is another: what the header has cannot be right.
    const Bytes forged = with_header(stored, [&](std::string& json) {
        replace(json, keyring->keyring().current, "0123456789abcdef");
    });
    expect_error(ErrorCode::invalid_key, [&] { return open(forged); });
}

TEST_F(VaultTest, WhatWasWrittenBeforeARotationIsRead) {
    OpenKeyring changing = *keyring;
    const Bytes before = seal(full, content_of(100));
    const Bytes sealed_before = seal(writer, content_of(100));
    changing.rotate();
    const Vault after(std::make_shared<const OpenKeyring>(changing));
    EXPECT_EQ(open(before, &after), content_of(100));
    EXPECT_EQ(open(sealed_before, &after), content_of(100));
    const Bytes newer = seal(after, content_of(100));
    EXPECT_EQ(open(newer, &after), content_of(100));
    expect_error(ErrorCode::invalid_key, [&] { return open(newer); });
}

TEST_F(VaultTest, SeveralRecipients) {
    OpenKeyring changing = *keyring;
    changing.rotate();
    const Vault both({keyring->recipient(), changing.recipient()});
    const Bytes stored = seal(both, content_of(100));
    EXPECT_EQ(parse_header(stored, "x").header.data_keys.size(), 2U);
    EXPECT_EQ(open(stored), content_of(100));
    EXPECT_EQ(
        open(stored, std::make_unique<Vault>(std::make_shared<const OpenKeyring>(changing)).get()),
        content_of(100));
    std::vector<Recipient> most;
    for (size_t i = 0; i < kMaxRecipients; ++i) {
        most.push_back(keyring->recipient());
        most.back().key_id = to_hex(Bytes(8, static_cast<std::byte>(i)));
    }
    const std::string long_place = "wal/" + std::string(100, 'x');
    EXPECT_LE(edges_of(seal(Vault(most), content_of(1), long_place))[1], kMaxHeaderBytes);
}

// A nonce is a frame's offset and kind; a key belongs to one writing of one object.
TEST_F(VaultTest, NoNonceIsUsedTwiceUnderAKey) {
    std::set<std::string> keys;
    const Bytes plain = content_of(2 * kFrameBytes + 5);
    constexpr int kWritings = 50;
    for (int i = 0; i < kWritings; ++i) {
        for (const Vault* vault : {&full, &writer}) {
            ObjectHeader header{ObjectKind::wal, kPlace, kCipherNone, 5, content_hash(plain), {}};
            EXPECT_TRUE(keys.insert(to_hex(vault->begin_object(header))).second);
        }
    }
    // One sealer, one object again and again, as a put that is tried anew does it.
    ObjectSealer sealer(1);
    for (int i = 0; i < kWritings; ++i) {
        const ByteView stored = sealer.seal(
            {ObjectKind::wal, kPlace, kCipherNone, plain.size(), content_hash(plain), {}}, plain,
            &full);
        const ObjectHeader header = parse_header(stored, "x").header;
        const auto data_key = keyring->unwrap_data_key(header.data_keys.front().key_id,
                                                       header.data_keys.front().wrapped);
        ASSERT_TRUE(data_key);
        EXPECT_TRUE(keys.insert(to_hex(*data_key)).second);
        std::set<std::pair<bool, size_t>> nonces;
        const std::vector<size_t> edges = edges_of(stored);
        for (size_t n = 1; n + 1 < edges.size(); ++n)
            EXPECT_TRUE(nonces.insert({is_end_frame(stored.subspan(edges[n])), edges[n]}).second);
        EXPECT_EQ(nonces.size(), 4U);
    }
}

// What has to be known to decrypt, in the words of docs/repository-format.md.
TEST_F(VaultTest, TheFormatAsItIsWrittenDown) {
    const Bytes stored = seal(full, as_bytes("hello"));
    const std::vector<size_t> at = edges_of(stored);
    const ObjectHeader header = parse_header(stored, "x").header;
    const auto data_key =
        keyring->unwrap_data_key(header.data_keys.front().key_id, header.data_keys.front().wrapped);
    const SecretBytes salt = hkdf({}, keyring->identity(), as_bytes("pg_ark/1 frames"), 32);
    const SecretBytes key = hkdf(salt, *data_key, as_bytes("pg_ark/1 object"), 32);
    const Bytes aad = digest_of_header(ByteView(stored).first(at[1]));
    const ByteView frame = ByteView(stored).subspan(at[1], at[2] - at[1]);
    EXPECT_EQ(load<uint32_t>(frame, 0), 0x184D2A5BU);
    EXPECT_EQ(load<uint32_t>(frame, 4), frame.size() - 8);
    EXPECT_EQ(load<uint32_t>(frame, 8), crc32c(0, frame.subspan(12)));
    Bytes nonce(12);
    nonce[10] = static_cast<std::byte>(at[1] >> 8);
    nonce[11] = static_cast<std::byte>(at[1] & 0xFF);
    Bytes zstd(frame.size() - 28);
    ASSERT_TRUE(AesGcm(key).open(nonce, aad, frame.subspan(12), zstd));
    Bytes plain(100);
    plain.resize(FrameDecompressor().decompress(zstd, plain, "x"));
    EXPECT_EQ(text_of(plain), "hello");
    const ByteView end = ByteView(stored).subspan(at[2]);
    EXPECT_EQ(load<uint32_t>(end, 0), 0x184D2A5CU);
    nonce[3] = std::byte{1};
    nonce[10] = static_cast<std::byte>(at[2] >> 8);
    nonce[11] = static_cast<std::byte>(at[2] & 0xFF);
    Bytes counts(16);
    ASSERT_TRUE(AesGcm(key).open(nonce, aad, end.subspan(12), counts));
    EXPECT_EQ(load<uint64_t>(counts, 0), 5U);
    EXPECT_EQ(load<uint64_t>(counts, 8), 1U);
}

TEST_F(VaultTest, EqualContentIsPresentOnEveryHost) {
    const Bytes plain = content_of(kFrameBytes + 100);
    const std::vector<std::shared_ptr<const Vault>> hosts{shared(keyring), recipient_of(*keyring)};
    for (const auto& first : hosts) {
        for (const auto& second : hosts) {
            base = make_memory_store();
            EXPECT_EQ(put(*over(base, first), plain), StoreResult::stored);
            EXPECT_TRUE(parse_header(*base->get(kName, 16 << 20), "x").header.is_encrypted());
            for (const bool look_first : {false, true}) {
                EXPECT_EQ(put(*over(base, second), plain, look_first), StoreResult::present);
                Bytes other = plain;
                other[kFrameBytes + 50] ^= std::byte{1};
                expect_error(ErrorCode::conflict,
                             [&] { return put(*over(base, second), other, look_first); });
                other.pop_back();
                expect_error(ErrorCode::conflict,
                             [&] { return put(*over(base, second), other, look_first); });
            }
        }
    }
    // Whoever has nothing to compare with says so.
    const Error error = expect_error(ErrorCode::conflict, [&] { return put(*over(base), plain); });
    EXPECT_TRUE(mentions(error.message, "cannot be compared")) << error.message;
    expect_error(ErrorCode::conflict,
                 [&] { return put(*over(base, shared(keyring_of(2))), plain); });
}

// A header that promises the right content is not the content.
TEST_F(VaultTest, WhatIsThereAndDamagedIsNotPresent) {
    const Bytes plain = content_of(kFrameBytes + 100);
    const Bytes stored = seal(full, plain);
    const std::vector<size_t> at = edges_of(stored);
    Bytes flipped = stored;
    flipped[at[2] + 40] ^= std::byte{1};
    for (const Bytes& damaged :
         {flipped, part(stored, 0, at[1]), part(stored, 0, at[2]), part(stored, 0, at[3]),
          part(stored, 0, stored.size() - 1), together({stored, part(stored, at[1], at[2])})}) {
        for (const auto& host : {shared(keyring), recipient_of(*keyring)}) {
            base = make_memory_store();
            base->put_if_absent(kName, damaged);
            expect_error(ErrorCode::corrupt, [&] { return put(*over(base, host), plain); });
        }
    }
}

TEST_F(VaultTest, TurningItOnAndOff) {
    const Bytes plain = content_of(1000);
    // Stored plain; the reply was lost; encryption was turned on.
    put(*over(base), plain);
    EXPECT_EQ(put(*over(base, shared(keyring)), plain), StoreResult::present);
    expect_error(ErrorCode::conflict,
                 [&] { return put(*over(base, shared(keyring)), content_of(1000, 2)); });
    // And the other way round, with the key still there.
    base = make_memory_store();
    put(*over(base, shared(keyring)), plain);
    const auto off = shared(keyring, {.encrypts = false});
    EXPECT_EQ(put(*over(base, off), plain), StoreResult::present);
    base = make_memory_store();
    put(*over(base, off), plain);
    EXPECT_FALSE(parse_header(*base->get(kName, 16 << 20), "x").header.is_encrypted());
    EXPECT_EQ(open(*base->get(kName, 16 << 20), off.get()), plain);
    EXPECT_GE(off->plain_objects(), 1U);
    const Vault strict(keyring, {.refuses_plain = true});
    expect_error(ErrorCode::refused, [&] { return open(*base->get(kName, 16 << 20), &strict); });
}

TEST_F(VaultTest, TheStoreLetsNothingPlainThrough) {
    const auto store = over(base, shared(keyring));
    const Bytes plain = seal_object(
        {ObjectKind::wal, kPlace, kCipherNone, 1, content_hash(Bytes(1)), {}}, Bytes(1), 1);
    for (const Bytes& content : {plain, Bytes(100), Bytes()}) {
        EXPECT_THROW(store->put_if_absent(kName, content), Error);
        EXPECT_THROW(
            {
                const auto upload = store->start_upload(kName);
                upload->write(content);
                upload->finish();
            },
            Error);
        EXPECT_THROW(store->start_upload(kName)->finish(), Error);
    }
    EXPECT_FALSE(base->head(kName));
    EXPECT_EQ(store->put_if_absent("c/keys/1.json", Bytes(1)), PutResult::created);
    EXPECT_EQ(store->put_if_absent("ark.json", Bytes(1)), PutResult::created);
    EXPECT_EQ(store->put_if_absent("cc/wal/x", Bytes(1)), PutResult::created);
    EXPECT_EQ(store->put_if_absent(kName, seal(full, Bytes(1))), PutResult::created);
    EXPECT_TRUE(vault_of(*store, "c"));
    EXPECT_FALSE(vault_of(*store, "cc"));
    EXPECT_FALSE(vault_of(*base, "c"));
}

class StreamedTest : public VaultTest {
 protected:
    static constexpr const char* kIndex = "backup/b/index.zst";

    WrittenObject write(ObjectStore& store, ByteView plain) {
        ObjectWriter out(store, kCluster, ObjectKind::index, kIndex, {}, 1, true);
        out.append(plain);
        return out.finish();
    }
    static Bytes read(ObjectStore& store, const std::string& sha256 = {}) {
        ObjectReader in(store, kCluster, ObjectKind::index, kIndex);
        Bytes out;
        while (const auto frame = in.next())
            out.insert(out.end(), frame->begin(), frame->end());
        if (!sha256.empty())
            in.check_digest(sha256);
        return out;
    }
    Bytes stored() { return *base->get(kCluster + "/" + kIndex, 64 << 20); }
    std::unique_ptr<ObjectStore> holding(const Bytes& object) {
        const std::shared_ptr<ObjectStore> other = make_memory_store();
        other->put_if_absent(kCluster + "/" + kIndex, object);
        return over(other, shared(keyring));
    }
};

TEST_F(StreamedTest, ThereAndBack) {
    for (const size_t size : {0UL, 5UL, kFrameBytes, 6 * kFrameBytes + 7}) {
        for (const auto& host : {shared(keyring), recipient_of(*keyring)}) {
            base = make_memory_store();
            const Bytes plain = content_of(size);
            const WrittenObject written = write(*over(base, host), plain);
            EXPECT_EQ(written.stored_bytes, stored().size());
            EXPECT_EQ(written.stored_sha256, sha256_hex(stored()));
            EXPECT_TRUE(parse_header(stored(), "x").header.is_encrypted());
            EXPECT_EQ(read(*over(base, shared(keyring)), written.plain_sha256), plain);
            expect_error(ErrorCode::invalid_key, [&] { return read(*over(base)); });
            expect_error(ErrorCode::invalid_key,
                         [&] { return read(*over(base, recipient_of(*keyring))); });
        }
    }
}

TEST_F(StreamedTest, FramesHaveTheirPlace) {
    write(*over(base, shared(keyring)), content_of(3 * kFrameBytes));
    const Bytes object = stored();
    const std::vector<size_t> at = edges_of(object);
    ASSERT_EQ(at.size(), 6U);
    EXPECT_EQ(read(*holding(object)).size(), 3 * kFrameBytes);
    const auto refused = [&](const Bytes& bytes, const std::string& what) {
        const auto store = holding(bytes);
        expect_error(
            ErrorCode::corrupt, [&] { return read(*store); }, what);
    };
    for (size_t edge = 1; edge + 1 < at.size(); ++edge)
        refused(part(object, 0, at[edge]), "cut off at edge " + std::to_string(edge));
    refused(together({part(object, 0, at[1]), part(object, at[2], at[3]),
                      part(object, at[1], at[2]), part(object, at[3], object.size())}),
            "two swapped");
    refused(together({part(object, 0, at[2]), part(object, at[3], object.size())}), "one gone");
    refused(together({object, part(object, at[1], at[2])}), "more behind the end");
    refused(together({object, Bytes(3)}), "bytes behind the end");
    for (size_t i = 0; i < object.size(); i += 1 + object.size() / 97) {
        Bytes flipped = object;
        flipped[i] ^= std::byte{4};
        refused(flipped, "byte " + std::to_string(i));
    }
}

TEST_F(StreamedTest, FramesThatWereCompressedElsewhere) {
    const auto store = over(base, shared(keyring));
    ObjectWriter out(*store, kCluster, ObjectKind::index, kIndex, {}, 1, false);
    std::vector<std::pair<uint64_t, uint32_t>> told;
    out.on_frame([&](uint64_t offset, uint32_t size) { told.emplace_back(offset, size); });
    const Bytes first = content_of(1000);
    Bytes compressed(FrameCompressor::max_frame_bytes());
    compressed.resize(out.compressor().compress(first, compressed));
    const uint64_t offset = out.frame_offset();
    out.send_frame(compressed, first.size());
    EXPECT_EQ(out.last_frame_stored(), compressed.size() + FrameCipher::kOverhead);
    out.append(content_of(500, 2));
    out.finish();
    ASSERT_EQ(told.size(), 2U);
    EXPECT_EQ(told[0].first, offset);
    const std::vector<size_t> at = edges_of(stored());
    for (size_t i = 0; i < told.size(); ++i) {
        EXPECT_EQ(told[i].first, at[i + 1]);
        EXPECT_EQ(told[i].second, at[i + 2] - at[i + 1]);
    }
    EXPECT_EQ(read(*store), together({first, content_of(500, 2)}));
}

TEST_F(VaultTest, PacksAreReadFrameByFrame) {
    auto repository = Repository::open(over(base), OpenMode::create);
    repository->use_vault(kCluster, recipient_of(*keyring));
    std::vector<FrameRef> refs;
    const auto write = [&](uint32_t number) {
        ObjectWriter out(repository->store(), kCluster, ObjectKind::pack, place::pack("b", number),
                         {}, 1, false);
        refs.clear();
        out.on_frame([&](uint64_t offset, uint32_t size) { refs.push_back({offset, size}); });
        for (int i = 0; i < 3; ++i)
            out.append(content_of(kFrameBytes, i + 1));
        out.finish();
    };
    write(0);
    write(1);
    ASSERT_EQ(refs.size(), 3U);
    repository = Repository::open(over(base), OpenMode::read);
    {
        PackReader blind(*repository, kCluster, "b");
        expect_error(ErrorCode::invalid_key, [&] {
            blind.open(0, 8 << 20);
            return 0;
        });
    }
    repository->use_vault(kCluster, shared(keyring));
    PackReader reader(*repository, kCluster, "b");
    for (const uint32_t number : {0U, 1U, 0U}) {
        reader.open(number, 8 << 20);
        for (const int i : {0, 2, 1}) {
            const ByteView frame = reader.frame(refs[static_cast<size_t>(i)]);
            EXPECT_EQ(Bytes(frame.begin(), frame.end()), content_of(kFrameBytes, i + 1));
        }
    }
    // A pack with another's frames, and one whose frames changed places.
    const auto name = [](uint32_t number) { return "c/" + place::pack("b", number); };
    const Bytes zero = *base->get(name(0), 64 << 20);
    const Bytes one = *base->get(name(1), 64 << 20);
    const std::vector<size_t> at = edges_of(zero);
    base->put_if_absent(name(2), zero);
    base->put_if_absent(name(3), with_header(zero, [](std::string& json) {
                            replace(json, place::pack("b", 0), place::pack("b", 3));
                        }));
    expect_error(ErrorCode::corrupt, [&] {
        reader.open(2, 8 << 20);
        return 0;
    });
    expect_error(ErrorCode::corrupt, [&] {
        reader.open(3, 8 << 20);
        return reader.frame(refs[0]).size();
    });
    base->remove(name(0));
    base->put_if_absent(name(0), together({part(zero, 0, at[1]), part(one, at[1], one.size())}));
    PackReader mixed(*repository, kCluster, "b");
    mixed.open(0, 8 << 20);
    for (const FrameRef& ref : refs)
        expect_error(ErrorCode::corrupt, [&] { return mixed.frame(ref).size(); });
    // The end frame is none of data.
    mixed.open(1, 8 << 20);
    const auto end = static_cast<uint64_t>(at[4]);
    expect_error(ErrorCode::corrupt, [&] {
        return mixed.frame({end, static_cast<uint32_t>(one.size() - end)}).size();
    });
}

TEST_F(VaultTest, MarkersAndHistoriesToo) {
    auto repository = Repository::open(over(base), OpenMode::create);
    repository->use_vault(kCluster, shared(keyring));
    BackupMarker marker = test::sample_marker();
    marker.cluster = kCluster;
    const std::string where = place::marker(marker.backup_id);
    const auto store_it = [&](Repository& in, const BackupMarker& what) {
        return store_small(in.store(), kCluster, ObjectKind::marker, where, as_bytes(to_json(what)),
                           {});
    };
    EXPECT_EQ(store_it(*repository, marker), StoreResult::stored);
    EXPECT_EQ(store_it(*repository, marker), StoreResult::present);
    BackupMarker other = marker;
    other.reason += "x";
    expect_error(ErrorCode::conflict, [&] { return store_it(*repository, other); });
    const Bytes stored = *base->get("c/" + where, 1 << 20);
    EXPECT_FALSE(mentions(text_of(stored), "stop_lsn"));
    EXPECT_EQ(find_backup(*repository, kCluster, marker.backup_id)->stop_lsn, marker.stop_lsn);
    EXPECT_EQ(list_backups(*repository, kCluster, nullptr).size(), 1U);

    auto blind = Repository::open(over(base), OpenMode::read);
    expect_error(ErrorCode::invalid_key,
                 [&] { return find_backup(*blind, kCluster, marker.backup_id).has_value(); });
    // The host that wrote it and cannot read it.
    auto recipient = Repository::open(over(base), OpenMode::write);
    recipient->use_vault(kCluster, recipient_of(*keyring));
    EXPECT_EQ(store_it(*recipient, marker), StoreResult::present);
    expect_error(ErrorCode::conflict, [&] { return store_it(*recipient, other); });

    // One from before is read, unless that is not wanted, or it was seen encrypted.
    base->remove("c/" + where);
    base->put_if_absent("c/" + where, as_bytes(to_json(marker)));
    expect_error(ErrorCode::corrupt,
                 [&] { return find_backup(*repository, kCluster, marker.backup_id).has_value(); });
    repository = Repository::open(over(base), OpenMode::write);
    repository->use_vault(kCluster, shared(keyring));
    EXPECT_FALSE(find_backup(*repository, kCluster, marker.backup_id)->is_encrypted);
    EXPECT_EQ(store_it(*repository, marker), StoreResult::present);
    auto strict = Repository::open(over(base), OpenMode::read);
    strict->use_vault(kCluster, shared(keyring, {.refuses_plain = true}));
    expect_error(ErrorCode::refused,
                 [&] { return find_backup(*strict, kCluster, marker.backup_id).has_value(); });
}

TEST(Vault, HeadersOutOfBounds) {
    const auto ring = keyring_of(1);
    const Vault vault(ring);
    ObjectSealer sealer(1);
    const ByteView view = sealer.seal(
        {ObjectKind::wal, kPlace, kCipherNone, 1, content_hash(Bytes(1)), {}}, Bytes(1), &vault);
    const Bytes stored(view.begin(), view.end());
    const auto parse = [&](const std::string& from, const std::string& to) {
        return parse_header(with_header(stored, [&](std::string& j) { replace(j, from, to); }), "x")
            .frame_bytes;
    };
    for (const auto& [from, to] : std::vector<std::pair<const char*, const char*>>{
             {"\"data_key\":[{", "\"data_key\":[],\"x\":[{"},
             {"\"data_key\":[{", "\"x\":[{"},
             {"\"data_key\":[", "\"data_key\":[1,"},
             {"\"wrapped\":\"", "\"wrapped\":\"A"},
             {"\"wrapped\":\"", "\"enc\":\""},
             {"\"key\":\"", "\"key\":\"0"},
             {"\"tag\":\"", "\"tag\":\"0"},
             {"\"tag\":\"", "\"tag\":\"zz"}}) {
        expect_error(
            ErrorCode::corrupt, [&, from = from, to = to] { return parse(from, to); }, to);
    }
    expect_error(ErrorCode::unsupported, [&] { return parse("aes-256-gcm", "rot13"); });
    EXPECT_GT(parse("\"tag\"", "\"unknown\""), 0U);  // and open_object refuses it: no digest
}

}  // namespace
}  // namespace ark
