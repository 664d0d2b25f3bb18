#include "core/repo/object.hpp"

#include <random>

#include "core/pipeline/content_hash.hpp"
#include "core/pipeline/zstd.hpp"
#include "test/support/expect_error.hpp"
#include "test/support/store_decorator.hpp"
#include "test/support/temporary_directory.hpp"

namespace ark {
namespace {

const std::string kPlace = "wal/00000001/00000000/000000010000000000000002.zst";
const std::string kName = "cluster/" + kPlace;

Writer writer_of(const std::string& host) {
    return {host, "boot", "/var/lib/pg", 1795140900123456};
}

Bytes content_of(size_t size) {
    Bytes out(size);
    std::minstd_rand random(7);
    for (std::byte& b : out)
        b = static_cast<std::byte>(random() % 5);
    return out;
}

Bytes sealed(ByteView plain, ObjectKind kind = ObjectKind::wal, const std::string& place = kPlace) {
    return seal_object({kind, place, "none", plain.size(), content_hash(plain), writer_of("db1")},
                       plain, 3);
}

TEST(Object, HeaderRoundTrips) {
    ObjectHeader header{ObjectKind::pack,
                        "backup/x/data/00000.tar.zst",
                        "none",
                        17,
                        {0xAB, 0xCD},
                        {"h\xFFost", "", "/data \"dir\"\n", 1795140900123456, "8:1"},
                        23};
    const Bytes bytes = encode_header(header);
    const ParsedHeader parsed = parse_header(bytes, "x");
    EXPECT_EQ(parsed.frame_bytes, bytes.size());
    EXPECT_EQ(parsed.header.kind, header.kind);
    EXPECT_EQ(parsed.header.place, header.place);
    EXPECT_EQ(parsed.header.plain_bytes, header.plain_bytes);
    EXPECT_EQ(parsed.header.hash, header.hash);
    EXPECT_EQ(parsed.header.writer.host, header.writer.host);
    EXPECT_EQ(parsed.header.writer.data_directory, header.writer.data_directory);
    EXPECT_EQ(parsed.header.writer.time, header.writer.time);
    EXPECT_EQ(parsed.header.writer.directory_id, "8:1");
    EXPECT_EQ(parsed.header.durable_bytes, 23U);
    // What `zstd -d` reads over.
    EXPECT_TRUE(is_skippable_frame(bytes));
    EXPECT_EQ(frame_length(bytes, "x"), bytes.size());
}

TEST(Object, WhatAHeaderDoesNotSayIsNotKnown) {
    ObjectHeader header;
    header.place = kPlace;
    const ParsedHeader parsed = parse_header(encode_header(header), "x");
    EXPECT_FALSE(parsed.header.plain_bytes);
    EXPECT_FALSE(parsed.header.hash.is_known());
    EXPECT_FALSE(parsed.header.durable_bytes);
}

TEST(Object, ContentOfEverySizeRoundTrips) {
    for (const size_t size : {size_t{0}, size_t{1}, kFrameBytes - 1, kFrameBytes, kFrameBytes + 1,
                              3 * kFrameBytes + 5}) {
        const Bytes plain = content_of(size);
        EXPECT_EQ(open_object(sealed(plain), ObjectKind::wal, kPlace, size), plain) << size;
    }
}

TEST(Object, EveryFlippedByteIsFound) {
    const Bytes plain = content_of(2000);
    Bytes stored = sealed(plain);
    const size_t header = parse_header(stored, "x").frame_bytes;
    size_t missed = 0;
    for (size_t i = 0; i < stored.size(); ++i) {
        for (const int flip : {0x01, 0x80, 0xFF}) {
            stored[i] ^= static_cast<std::byte>(flip);
            try {
                // A bit that zstd does not read may differ; other content never comes out.
                ASSERT_EQ(open_object(stored, ObjectKind::wal, kPlace, 1 << 20), plain) << i;
                ASSERT_GE(i, header) << "a byte of the header";
                ++missed;
            } catch (const Error& error) {
                ASSERT_TRUE(error.code == ErrorCode::corrupt) << i << error.message;
                ASSERT_TRUE(test::mentions(error.message, kPlace)) << error.message;
            }
            stored[i] ^= static_cast<std::byte>(flip);
        }
    }
    EXPECT_LE(missed, stored.size() / 100 + 6);
}

TEST(Object, EveryTruncationIsFound) {
    const Bytes stored = sealed(content_of(2000));
    for (size_t size = 0; size < stored.size(); ++size) {
        test::expect_error(
            ErrorCode::corrupt,
            [&] {
                return open_object(ByteView(stored).first(size), ObjectKind::wal, kPlace, 1 << 20);
            },
            std::to_string(size));
    }
}

TEST(Object, MissingRepeatedAndForeignFramesAreFound) {
    const Bytes plain = content_of(2 * kFrameBytes);
    const Bytes stored = sealed(plain);
    const size_t header = parse_header(stored, "x").frame_bytes;
    const size_t first = *frame_length(ByteView(stored).subspan(header), "x");
    const auto open = [](const Bytes& bytes) {
        return open_object(bytes, ObjectKind::wal, kPlace, 8 << 20);
    };
    Bytes missing = stored;
    missing.resize(header + first);
    test::expect_error(ErrorCode::corrupt, [&] { return open(missing); });
    Bytes repeated = stored;
    repeated.insert(repeated.end(), stored.begin() + static_cast<ptrdiff_t>(header + first),
                    stored.end());
    test::expect_error(ErrorCode::corrupt, [&] { return open(repeated); });
    Bytes swapped(stored.begin(), stored.begin() + static_cast<ptrdiff_t>(header));
    swapped.insert(swapped.end(), stored.begin() + static_cast<ptrdiff_t>(header + first),
                   stored.end());
    swapped.insert(swapped.end(), stored.begin() + static_cast<ptrdiff_t>(header),
                   stored.begin() + static_cast<ptrdiff_t>(header + first));
    test::expect_error(ErrorCode::corrupt, [&] { return open(swapped); });
    Bytes tail = stored;
    tail.resize(tail.size() + 20);
    test::expect_error(ErrorCode::corrupt, [&] { return open(tail); });
}

TEST(Object, AnotherPlaceOrKindIsFound) {
    const Bytes plain = content_of(100);
    const Error place = test::expect_error(ErrorCode::corrupt, [&] {
        return open_object(sealed(plain, ObjectKind::wal, "wal/other.zst"), ObjectKind::wal, kPlace,
                           1000);
    });
    EXPECT_TRUE(test::mentions(place.detail, "wal/other.zst"));
    test::expect_error(ErrorCode::corrupt, [&] {
        return open_object(sealed(plain, ObjectKind::partial), ObjectKind::wal, kPlace, 1000);
    });
}

TEST(Object, ALieAboutTheSizeAllocatesNothing) {
    const Bytes plain = content_of(100);
    for (const uint64_t told : {uint64_t{99}, uint64_t{101}, uint64_t{1} << 60}) {
        const Bytes stored =
            seal_object({ObjectKind::wal, kPlace, "none", told, content_hash(plain), {}}, plain, 3);
        test::expect_error(ErrorCode::corrupt,
                           [&] { return open_object(stored, ObjectKind::wal, kPlace, 1000); });
        // Nor where the caller would take that much.
        test::expect_error(ErrorCode::corrupt, [&] {
            return open_object(stored, ObjectKind::wal, kPlace, uint64_t{1} << 61);
        });
    }
}

TEST(Object, NewerFormatsAndCiphersAreNamed) {
    ObjectHeader header{ObjectKind::wal, kPlace, "aes-512-ctr", 1, {1, 2}, {}};
    const Error error = test::expect_error(
        ErrorCode::unsupported, [&] { return parse_header(encode_header(header), "x"); });
    EXPECT_TRUE(test::mentions(error.message, "aes-512-ctr"));
    header.place = std::string(20000, 'x');
    test::expect_error(ErrorCode::internal, [&] { return encode_header(header); });
}

TEST(Object, AWriterIsThisHost) {
    const Writer writer = make_writer("/data");
    EXPECT_FALSE(writer.host.empty());
    EXPECT_FALSE(writer.boot_id.empty());
    EXPECT_EQ(writer.data_directory, "/data");
    EXPECT_EQ(describe(writer_of("db1")),
              "host db1, data directory \"/var/lib/pg\", at 2026-11-20T02:15:00.123456Z");
}

class StoreObject : public testing::Test {
 protected:
    StoreResult put(std::string_view content, const std::string& host = "db1") {
        return store_object(*store, "cluster", ObjectKind::wal, kPlace, as_bytes(content),
                            writer_of(host), 3);
    }
    void damage(size_t from_end) {
        Bytes bytes = *store->get(kName, 1 << 20);
        bytes[bytes.size() - from_end] ^= std::byte{1};
        store->remove(kName);
        store->put_if_absent(kName, bytes);
    }
    std::unique_ptr<ObjectStore> store = make_memory_store();
};

TEST_F(StoreObject, StoredThenPresent) {
    EXPECT_EQ(put("content"), StoreResult::stored);
    const Bytes before = *store->get(kName, 1 << 20);
    EXPECT_EQ(put("content", "db2"), StoreResult::present);
    EXPECT_EQ(*store->get(kName, 1 << 20), before);
    EXPECT_EQ(read_header(*store, kName)->writer.host, "db1");
}

// A writer that is killed between the link and the fsync of the directory leaves an object that a
// crash of the machine may take away: nobody may be told "present" before it cannot.
TEST_F(StoreObject, PresentMeansDurable) {
    std::vector<std::string> calls;
    test::StoreDecorator watched(make_memory_store(),
                                 [&](const std::string& call, const std::string& name) {
                                     if (call == "make_durable")
                                         calls.push_back(name);
                                 });
    const Bytes plain = content_of(100);
    const auto put = [&] {
        return store_object(watched, "cluster", ObjectKind::wal, kPlace, plain, writer_of("db1"),
                            3);
    };
    EXPECT_EQ(put(), StoreResult::stored);
    EXPECT_TRUE(calls.empty());
    EXPECT_EQ(put(), StoreResult::present);
    EXPECT_EQ(calls, std::vector<std::string>{kName});
}

TEST(Object, AWriterIsKnownByItsDirectoryNotByItsName) {
    const test::TemporaryDirectory directory;
    const Writer writer = make_writer(directory.path());
    Writer other = make_writer(directory / "../" + directory.path().substr(5));
    other.host = "renamed";
    EXPECT_TRUE(same_data_directory(writer, other)) << writer.directory_id;
    EXPECT_FALSE(same_data_directory(writer, make_writer("/")));
    EXPECT_FALSE(same_data_directory(make_writer("/none"), make_writer("/none")));
    other.boot_id = "another kernel";
    EXPECT_FALSE(same_data_directory(writer, other));
}

TEST_F(StoreObject, OtherContentIsAConflictThatNamesBothWriters) {
    put("content");
    const Bytes before = *store->get(kName, 1 << 20);
    for (const char* other : {"", "Content", "content and more"}) {
        const Error error =
            test::expect_error(ErrorCode::conflict, [&] { return put(other, "db2"); });
        EXPECT_TRUE(test::mentions(error.detail, "host db1"));
        EXPECT_TRUE(test::mentions(error.detail, "host db2"));
    }
    EXPECT_EQ(*store->get(kName, 1 << 20), before);
}

// The archiver may recycle the segment after this answer: a header's promise is not enough.
TEST_F(StoreObject, DamagedContentIsNotPresent) {
    put("content that is long enough");
    damage(6);
    test::expect_error(ErrorCode::corrupt, [&] { return put("content that is long enough"); });
}

TEST_F(StoreObject, TruncatedContentIsNotPresent) {
    put("content");
    Bytes bytes = *store->get(kName, 1 << 20);
    store->remove(kName);
    bytes.resize(bytes.size() - 1);
    store->put_if_absent(kName, bytes);
    test::expect_error(ErrorCode::corrupt, [&] { return put("content"); });
}

TEST_F(StoreObject, AnEmptyOrForeignObjectInItsPlaceIsCorrupt) {
    store->put_if_absent(kName, {});
    test::expect_error(ErrorCode::corrupt, [&] { return put("content"); });
    store->remove(kName);
    store->put_if_absent(kName, as_bytes("something else altogether, not from here"));
    test::expect_error(ErrorCode::corrupt, [&] { return put("content"); });
}

TEST_F(StoreObject, TheSameContentOfAnotherPlaceIsAConflict) {
    const Bytes plain = content_of(10);
    store->put_if_absent(kName, sealed(plain, ObjectKind::wal, "wal/elsewhere.zst"));
    test::expect_error(ErrorCode::conflict, [&] { return put(as_text(plain)); });
}

TEST_F(StoreObject, PlainObjectsCompareAsAWhole) {
    EXPECT_EQ(store_small(*store, "c", ObjectKind::history, "h", as_bytes("1\t0/1\tx\n"),
                          writer_of("db1")),
              StoreResult::stored);
    EXPECT_EQ(store_small(*store, "c", ObjectKind::history, "h", as_bytes("1\t0/1\tx\n"),
                          writer_of("db2")),
              StoreResult::present);
    test::expect_error(ErrorCode::conflict, [&] {
        return store_small(*store, "c", ObjectKind::history, "h", as_bytes("1\t0/2\tx\n"),
                           writer_of("db2"));
    });
    EXPECT_EQ(as_text(*store->get("c/h", 100)), "1\t0/1\tx\n");
}

TEST_F(StoreObject, NoHeaderWhereThereIsNoObject) {
    EXPECT_FALSE(read_header(*store, kName));
    store->put_if_absent("short", as_bytes("x"));
    test::expect_error(ErrorCode::corrupt, [&] { return read_header(*store, "short"); });
}

}  // namespace
}  // namespace ark
