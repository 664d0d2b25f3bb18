#include "core/pgdata/control_file.hpp"

#include <atomic>
#include <thread>

#include "test/support/expect_error.hpp"
#include "test/support/fake_cluster.hpp"
#include "test/support/pages.hpp"

namespace ark {
namespace {

// global/pg_control as PostgreSQL 15's initdb -k wrote it.
const test::Runs kReal = {
    {0,
     "fc385d212706016b1405000025770d0c01000000000000002706016b00000000b029750100000000b02975010000"
     "000001000000010000000100000000000000d402000000000000053500000100000000000000cc02000001000000"
     "0100000001000000000000002706016b"},
    {128, "e803"},
    {172,
     "010000000000000064000000080000000a000000000000004000000000000000080000000000000087d632410020"
     "00000000020000200000000000014000000020000000cc0700000008000001000000010000004e817ba3cf6db1f1"
     "9265b4d3b83bd5cfbe4dfabd698eb53868ccdcfb48bc5b876d3d7adc"}};

TEST(ControlFile, ReadsARealOne) {
    const ControlFile control = parse_control_file(test::from_runs(kControlFileBytes, kReal));
    EXPECT_EQ(control.system_identifier, 7710450802168248572ULL);
    EXPECT_EQ(control.control_version, 1300U);
    EXPECT_EQ(control.catalog_version, 202209061U);
    EXPECT_EQ(control.state, ClusterState::shut_down);
    EXPECT_EQ(to_text(control.checkpoint), "0/17529B0");
    EXPECT_EQ(control.timeline, 1U);
    EXPECT_EQ(control.block_size, 8192U);
    EXPECT_EQ(control.relation_segment_blocks, 131072U);
    EXPECT_EQ(control.wal_block_size, 8192U);
    EXPECT_EQ(control.wal_segment_size, 16U << 20);
    EXPECT_EQ(control.data_checksum_version, 1U);
}

// A torn pg_control that is taken for whole starts recovery at the wrong place.
TEST(ControlFile, EveryFlippedByteIsCaught) {
    Bytes bytes = test::from_runs(kControlFileBytes, kReal);
    for (size_t i = 0; i < 292; ++i) {
        for (const int bit : {0, 3, 7}) {
            bytes[i] ^= static_cast<std::byte>(1 << bit);
            test::expect_error(
                ErrorCode::corrupt, [&] { return parse_control_file(bytes); }, std::to_string(i));
            bytes[i] ^= static_cast<std::byte>(1 << bit);
        }
    }
}

TEST(ControlFile, HalvesOfTwoVersionsAreCaught) {
    const Bytes old_bytes = test::make_control_file(1, 1);
    const Bytes new_bytes = test::make_control_file(2, 0);
    for (size_t cut = 8; cut < 288; cut += 8) {
        Bytes torn = old_bytes;
        std::copy_n(new_bytes.begin(), cut, torn.begin());
        if (torn != old_bytes && torn != new_bytes)
            test::expect_error(ErrorCode::corrupt, [&] { return parse_control_file(torn); });
    }
}

TEST(ControlFile, TheChecksumIsWhereTheVersionPutsIt) {
    const std::pair<uint32_t, size_t> versions[] = {{1300, 288}, {1700, 288}, {1800, 292}};
    for (const auto& [version, place] : versions) {
        for (const size_t at : {256, 284, 288, 292, 296, 508}) {
            const Bytes bytes = test::make_control_file(7, 1, at, version);
            if (at == place) {
                EXPECT_EQ(parse_control_file(bytes).control_version, version);
            } else {
                test::expect_error(ErrorCode::corrupt, [&] { return parse_control_file(bytes); });
            }
        }
    }
}

TEST(ControlFile, UnknownVersionsAreRefusedByName) {
    for (const uint32_t version : {1201U, 1901U, 10000U}) {
        const Error error = test::expect_error(ErrorCode::unsupported, [&] {
            return parse_control_file(test::make_control_file(7, 1, 288, version));
        });
        EXPECT_TRUE(test::mentions(error.message, std::to_string(version)));
    }
}

TEST(ControlFile, ShortAndEmptyFiles) {
    const Bytes whole = test::make_control_file();
    for (const size_t size : {0, 1, 291, 511}) {
        test::expect_error(ErrorCode::corrupt,
                           [&] { return parse_control_file(ByteView(whole).first(size)); });
    }
    test::expect_error(ErrorCode::corrupt, [] { return parse_control_file(Bytes(8192)); });
    EXPECT_EQ(parse_control_file(ByteView(whole).first(512)).block_size, 8192U);
}

// What is cut into blocks, files and segments is divided by them.
TEST(ControlFile, ImpossibleSizesAreCorrupt) {
    for (const size_t at : {216, 220, 228}) {  // block, blocks in a file, segment
        Bytes bytes = test::make_control_file();
        store<uint32_t>(bytes, at, 0);
        store<uint32_t>(bytes, 288, crc32c(0, ByteView(bytes).first(288)));
        test::expect_error(
            ErrorCode::corrupt, [&] { return parse_control_file(bytes); }, std::to_string(at));
    }
}

// The server rewrites the file in place: a read in between is repeated.
TEST(ControlFile, AReadDuringAWriteIsRepeated) {
    const test::FakeCluster cluster;
    const std::string path = cluster.path("global/pg_control");
    cluster.add("global/pg_control", std::string(8192, 'x'));
    std::jthread server([&] {
        File file = File::open(path, O_WRONLY);
        file.pwrite_all(test::make_control_file(), 0);
    });
    EXPECT_EQ(read_control_file(cluster.path()).system_identifier, test::kFakeSystemIdentifier);
}

TEST(ControlFile, OneThatStaysWrongIsAnError) {
    const test::FakeCluster cluster;
    cluster.add("global/pg_control", std::string(8192, 'x'));
    test::expect_error(ErrorCode::corrupt, [&] { return read_control_file(cluster.path()); });
    std::filesystem::remove(cluster.path("global/pg_control"));
    test::expect_error(ErrorCode::not_found, [&] { return read_control_file(cluster.path()); });
}

}  // namespace
}  // namespace ark
