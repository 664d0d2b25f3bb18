#include "core/repo/keyring.hpp"

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "core/crypto/base64.hpp"
#include "core/pipeline/digest.hpp"
#include "core/repo/open_keyring.hpp"
#include "core/repo/stored_keyring.hpp"
#include "test/support/expect_error.hpp"
#include "test/support/store_decorator.hpp"

namespace ark {
namespace {

using test::expect_error;
using test::mentions;

constexpr ScryptCost kCheap{16, 8, 1};
const std::string kCluster = "7301";
const std::string kName = "7301/keys/1.json";

KeySecret key_of(int n) {
    return {KeySecret::Type::key, SecretBytes(32, static_cast<std::byte>(n))};
}
KeySecret passphrase(const std::string& text) {
    return {KeySecret::Type::passphrase, secret_copy(text)};
}

Writer writer_of(const std::string& host) {
    Writer writer;
    writer.host = host;
    writer.time = now_micros();
    return writer;
}

// With a new checksum: what somebody makes who knows the format and none of the keys.
std::string forged(std::string text, const std::string& from, const std::string& to) {
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    text.resize(text.rfind(','));
    return text + ",\n  \"sha256\": \"" + sha256_hex(as_bytes(text)) + "\"\n}\n";
}

struct Change {
    std::string from;
    std::string to;
};

std::string new_keyring(const KeySecret& secret = key_of(1)) {
    return OpenKeyring::make(kCluster, secret, kCheap).seal_next(writer_of("db1"));
}

TEST(Keyring, IsOpenedByItsSecretAlone) {
    for (const KeySecret& secret : {key_of(1), passphrase("correct horse")}) {
        const Keyring keyring = parse_keyring(new_keyring(secret), kName);
        EXPECT_EQ(keyring.generation, 1U);
        EXPECT_EQ(keyring.cluster, kCluster);
        EXPECT_EQ(keyring.writer.host, "db1");
        const OpenKeyring open = OpenKeyring::open(keyring, secret);
        EXPECT_EQ(open.slot(), 1U);
        const SecretBytes data_key = random_secret(32);
        const Bytes wrapped = open.wrap_data_key(data_key);
        EXPECT_EQ(*open.unwrap_data_key(keyring.current, wrapped), data_key);
        for (const KeySecret& wrong : {key_of(2), passphrase("correct horsf"),
                                       KeySecret{KeySecret::Type::passphrase, key_of(1).bytes}}) {
            const Error error = expect_error(ErrorCode::invalid_key,
                                             [&] { return OpenKeyring::open(keyring, wrong); });
            EXPECT_TRUE(mentions(error.message, "keyring 1")) << error.message;
        }
    }
}

TEST(Keyring, SaysNothingOfItsKeys) {
    OpenKeyring ring = OpenKeyring::make(kCluster, passphrase("correct horse"), kCheap);
    ring.add_slot(key_of(1));
    const std::string text = ring.seal_next(writer_of("db1"));
    EXPECT_FALSE(mentions(text, "horse"));
    EXPECT_FALSE(mentions(text, to_base64(key_of(1).bytes)));
    EXPECT_FALSE(mentions(text, to_base64(ring.identity())));
}

TEST(Keyring, EveryBitFlipIsDamageAndNoWrongKey) {
    const std::string text = new_keyring();
    for (size_t bit = 0; bit < text.size() * 8; ++bit) {
        std::string flipped = text;
        flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
        expect_error(
            ErrorCode::corrupt, [&] { return parse_keyring(flipped, kName); }, std::to_string(bit));
    }
    for (size_t size = 0; size < text.size(); ++size) {
        expect_error(
            ErrorCode::corrupt, [&] { return parse_keyring(text.substr(0, size), kName); },
            std::to_string(size));
    }
    EXPECT_NO_THROW(parse_keyring(text, kName));
}

// Who can write to the bucket can make the checksum fit.
TEST(Keyring, WhatWasForgedIsRefused) {
    OpenKeyring ring = OpenKeyring::make(kCluster, key_of(1));
    const std::string first = ring.keyring().current;
    ring.rotate();
    const std::string text = ring.seal_next(writer_of("db1"));
    const Keyring whole = parse_keyring(text, kName);
    const auto opens = [&](const std::string& bytes) {
        return OpenKeyring::open(parse_keyring(bytes, kName), key_of(1));
    };
    opens(text);
    const std::string current = "\"current\": \"";
    const std::string mine = to_base64(Bytes(32, std::byte{3}));
    for (const Change& change : std::vector<Change>{
             {current + whole.current, current + first},
             {"\"generation\": 1", "\"generation\": 2"},
             {"\"cluster\": \"7301\"", "\"cluster\": \"7302\""},
             {to_base64(whole.keys[1].public_key), mine},
             {to_base64(whole.keys[1].public_key), to_base64(whole.keys[0].public_key)},
             {to_base64(whole.keys[0].identity), to_base64(whole.keys[1].identity)},
             {to_base64(whole.mac), mine},
             {"\"db1\"", "\"db2\""}}) {
        expect_error(
            ErrorCode::corrupt, [&] { return opens(forged(text, change.from, change.to)); },
            change.from);
    }
    // Every bit of everything that the MAC is of.
    for (size_t bit = 0; bit < whole.sealed_text.size() * 8; bit += 3) {
        std::string flipped = text;
        flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
        flipped = forged(flipped, "", "");
        try {
            opens(flipped);
            ADD_FAILURE() << bit;
        } catch (const Error& error) {
            // A root that is none of this secret's is what a wrong key looks like.
            EXPECT_TRUE(error.code == ErrorCode::corrupt || error.code == ErrorCode::unsupported ||
                        error.code == ErrorCode::invalid_key)
                << error.message;
        }
    }
}

TEST(Keyring, WhoMayOnlyWriteCannotMakeOne) {
    OpenKeyring ring = OpenKeyring::make(kCluster, key_of(1));
    const std::string text = ring.seal_next(writer_of("db1"));
    const Keyring whole = parse_keyring(text, kName);
    // All that a recipient has.
    const SecretBytes identity = secret_copy(ring.recipient().identity);
    const Bytes mac =
        hmac_sha256(derive_key(identity, "pg_ark/1 keyring"), as_bytes(whole.sealed_text));
    EXPECT_NE(mac, whole.mac);
}

TEST(Keyring, NumbersOutOfBounds) {
    OpenKeyring ring = OpenKeyring::make(kCluster, passphrase("x"), kCheap);
    const std::string text = ring.seal_next(writer_of("db1"));
    for (const Change& change :
         std::vector<Change>{{"\"n\": 16", "\"n\": 2097152"},
                             {"\"n\": 16", "\"n\": 17"},
                             {"\"n\": 16", "\"n\": 0"},
                             {"\"n\": 16", "\"n\": 1"},
                             {"\"n\": 16", "\"n\": -16"},
                             {"\"n\": 16", "\"n\": 16.0"},
                             {"\"n\": 16", "\"n\": \"16\""},
                             {"\"r\": 8", "\"r\": 17"},
                             {"\"r\": 8", "\"r\": 0"},
                             {"\"p\": 1", "\"p\": 5"},
                             {"\"p\": 1", "\"p\": 0"},
                             {"\"kdf\": \"scrypt\"", "\"kdf\": \"md5\""},
                             {"\"type\": \"passphrase\"", "\"type\": \"door\""},
                             {"\"pg_ark_keys\": 1", "\"pg_ark_keys\": true"},
                             {"\"slots\"", "\"slotz\""},
                             {"\"keys\": [", "\"keys\": [], \"keyz\": ["},
                             {"\"slot\": 1", "\"slot\": 2"},
                             {"\"current\": \"", "\"current\": \"0"}}) {
        expect_error(
            ErrorCode::corrupt,
            [&] { return parse_keyring(forged(text, change.from, change.to), kName); }, change.to);
    }
    // Within the bounds of each number, and too much memory together.
    const std::string large = forged(text, "\"n\": 16", "\"n\": 1048576");
    EXPECT_NO_THROW(parse_keyring(large, kName));
    expect_error(ErrorCode::corrupt,
                 [&] { return parse_keyring(forged(large, "\"r\": 8", "\"r\": 16"), kName); });
    expect_error(ErrorCode::unsupported, [&] {
        return parse_keyring(forged(text, "\"pg_ark_keys\": 1", "\"pg_ark_keys\": 2"), kName);
    });
    expect_error(ErrorCode::corrupt,
                 [&] { return parse_keyring(std::string(kMaxKeyringBytes + 1, ' '), kName); });
}

TEST(Keyring, RotationKeepsWhatIsOldReadable) {
    OpenKeyring ring = OpenKeyring::make(kCluster, key_of(1));
    const std::string old_key = ring.keyring().current;
    const SecretBytes data_key = random_secret(32);
    const Bytes wrapped = ring.wrap_data_key(data_key);
    const SecretBytes identity = secret_copy(ring.identity());
    ring.seal_next(writer_of("db1"));

    EXPECT_TRUE(ring.rotate().empty());
    EXPECT_NE(ring.keyring().current, old_key);
    const Keyring second = parse_keyring(ring.seal_next(writer_of("db2")), kName);
    EXPECT_EQ(second.generation, 2U);
    const OpenKeyring open = OpenKeyring::open(second, key_of(1));
    EXPECT_EQ(*open.unwrap_data_key(old_key, wrapped), data_key);
    EXPECT_FALSE(open.unwrap_data_key(second.current, wrapped));
    EXPECT_NE(open.wrap_data_key(data_key), wrapped);
    EXPECT_TRUE(std::ranges::equal(open.identity(), identity)) << "objects stay comparable";
    expect_error(ErrorCode::invalid_key,
                 [&] { return open.unwrap_data_key("0000000000000000", wrapped); });
}

TEST(Keyring, SlotsComeAndGo) {
    OpenKeyring ring = OpenKeyring::make(kCluster, key_of(1));
    ring.rotate();
    EXPECT_EQ(ring.add_slot(passphrase("in the safe"), kCheap), 2U);
    expect_error(ErrorCode::already_exists, [&] { return ring.add_slot(key_of(1)); });
    const Keyring both = parse_keyring(ring.seal_next(writer_of("db1")), kName);
    OpenKeyring safe = OpenKeyring::open(both, passphrase("in the safe"));
    EXPECT_EQ(safe.slot(), 2U);
    EXPECT_TRUE(std::ranges::equal(safe.identity(), ring.identity()));
    expect_error(ErrorCode::refused, [&] {
        safe.remove_slot(2);
        return 0;
    });
    expect_error(ErrorCode::not_found, [&] {
        safe.remove_slot(3);
        return 0;
    });
    safe.remove_slot(1);
    const Keyring one = parse_keyring(safe.seal_next(writer_of("db1")), kName);
    OpenKeyring::open(one, passphrase("in the safe"));
    expect_error(ErrorCode::invalid_key, [&] { return OpenKeyring::open(one, key_of(1)); });
    // A number is not used again while a higher one is.
    EXPECT_EQ(safe.add_slot(key_of(1)), 3U);
    for (int i = 2; safe.keyring().slots.size() < kMaxKeySlots; ++i)
        safe.add_slot(key_of(i));
    expect_error(ErrorCode::refused, [&] { return safe.add_slot(key_of(100)); });
}

TEST(Keyring, ASlotThatNobodyBroughtTheSecretForStaysBehind) {
    OpenKeyring ring = OpenKeyring::make(kCluster, key_of(1));
    ring.add_slot(key_of(2));
    ring.add_slot(key_of(3));
    EXPECT_EQ(ring.rotate({key_of(3)}), std::vector<uint32_t>{2});
    const Keyring rotated = parse_keyring(ring.seal_next(writer_of("db1")), kName);
    OpenKeyring::open(rotated, key_of(1));
    OpenKeyring::open(rotated, key_of(3));
    const Error error =
        expect_error(ErrorCode::invalid_key, [&] { return OpenKeyring::open(rotated, key_of(2)); });
    EXPECT_TRUE(mentions(error.message, "older keys")) << error.message;
    expect_error(ErrorCode::invalid_key, [&] { return ring.rotate({key_of(9)}); });
    // With its secret it catches up, with the key in between too.
    EXPECT_TRUE(ring.rotate({key_of(2), key_of(3)}).empty());
    const Keyring again = parse_keyring(ring.seal_next(writer_of("db1")), kName);
    EXPECT_EQ(OpenKeyring::open(again, key_of(2)).keyring().keys.size(), 3U);
}

TEST(StoredKeyring, TheHighestGenerationCounts) {
    const std::shared_ptr<ObjectStore> store = make_memory_store();
    EXPECT_FALSE(find_keyring(*store, kCluster));
    OpenKeyring ring = OpenKeyring::make(kCluster, key_of(1));
    for (uint64_t n = 1; n <= 11; ++n) {
        store_next_keyring(*store, ring, writer_of("db1"));
        EXPECT_EQ(find_keyring(*store, kCluster)->generation, n);
    }
    store->put_if_absent("7301/keys/README", as_bytes("x"));
    store->put_if_absent("7301/keys/012.json", as_bytes("x"));
    EXPECT_EQ(find_keyring(*store, kCluster)->generation, 11U);
    EXPECT_FALSE(find_keyring(*store, "7302"));
    // One that lies under another's name is none.
    store->put_if_absent("7301/keys/12.json", *store->get("7301/keys/11.json", kMaxKeyringBytes));
    expect_error(ErrorCode::corrupt, [&] { return find_keyring(*store, kCluster); });
    store->put_if_absent("7302/keys/1.json", *store->get("7301/keys/1.json", kMaxKeyringBytes));
    expect_error(ErrorCode::corrupt, [&] { return find_keyring(*store, "7302"); });
}

TEST(StoredKeyring, AListingThatLagsHidesNone) {
    const std::shared_ptr<ObjectStore> store = make_memory_store();
    OpenKeyring ring = OpenKeyring::make(kCluster, key_of(1));
    for (int i = 0; i < 3; ++i)
        store_next_keyring(*store, ring, writer_of("db1"));
    struct Blind final : ObjectStore {
        explicit Blind(ObjectStore& inner_in) : inner(inner_in) {}
        PutResult put_if_absent(const std::string& n, ByteView c) override {
            return inner.put_if_absent(n, c);
        }
        std::unique_ptr<Upload> start_upload(const std::string& n) override {
            return inner.start_upload(n);
        }
        std::optional<Bytes> get(const std::string& n, uint64_t l) override {
            return inner.get(n, l);
        }
        size_t get_range(const std::string& n, uint64_t o, MutableByteView b) override {
            return inner.get_range(n, o, b);
        }
        std::optional<ObjectInfo> head(const std::string& n) override { return inner.head(n); }
        void list(const std::string&, const std::function<bool(const ObjectInfo&)>&) override {}
        std::vector<std::string> list_parts(const std::string&) override { return {}; }
        bool remove(const std::string& n) override { return inner.remove(n); }
        std::optional<uint64_t> free_bytes() override { return {}; }
        std::string url() const override { return inner.url(); }
        ObjectStore& inner;
    } blind(*store);
    EXPECT_EQ(find_keyring(blind, kCluster)->generation, 3U);
}

TEST(StoredKeyring, OfTwoCreatorsOneLoses) {
    const std::shared_ptr<ObjectStore> store = make_memory_store();
    OpenKeyring one = OpenKeyring::make(kCluster, key_of(1));
    OpenKeyring two = OpenKeyring::make(kCluster, key_of(2));
    store_next_keyring(*store, one, writer_of("db1"));
    const Error error = expect_error(ErrorCode::conflict, [&] {
        store_next_keyring(*store, two, writer_of("db2"));
        return 0;
    });
    EXPECT_TRUE(mentions(error.detail, "db1")) << error.detail;
    OpenKeyring::open(*find_keyring(*store, kCluster), key_of(1));

    int winners = 0;
    std::vector<std::thread> threads;
    threads.reserve(4);
    std::mutex mutex;
    const Keyring base = *find_keyring(*store, kCluster);
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            OpenKeyring mine = OpenKeyring::open(base, key_of(1));
            mine.rotate();
            try {
                store_next_keyring(*store, mine, writer_of("db1"));
                const std::lock_guard lock(mutex);
                ++winners;
            } catch (const Error& lost) {
                EXPECT_EQ(lost.code, ErrorCode::conflict);
            }
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(winners, 1);
    EXPECT_EQ(find_keyring(*store, kCluster)->generation, 2U);
}

TEST(StoredKeyring, AReplyThatWasLost) {
    const std::shared_ptr<ObjectStore> store = make_memory_store();
    // The store keeps it and says that it was there.
    test::StoreDecorator lossy(store, [&](const std::string& call, const std::string& name) {
        if (call == "put" && !store->head(name))
            throw Error(ErrorCode::unavailable, "lost");
    });
    OpenKeyring ring = OpenKeyring::make(kCluster, key_of(1));
    OpenKeyring same = ring;
    const Writer writer = writer_of("db1");
    store->put_if_absent(kName, as_bytes(ring.seal_next(writer)));
    EXPECT_NO_THROW(store_next_keyring(lossy, same, writer));
}

}  // namespace
}  // namespace ark
