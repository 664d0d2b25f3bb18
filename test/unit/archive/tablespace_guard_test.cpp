#include "core/archive/tablespace_guard.hpp"

#include <filesystem>

#include <gtest/gtest.h>

#include "test/unit/archive/data_directory.hpp"
#include "test/unit/archive/fixture.hpp"

namespace ark {
namespace {

using test::WalBuilder;
constexpr uint64_t kSize = WalBuilder::kSegmentSize;

class TablespaceGuard : public ::testing::Test {
 protected:
    TablespaceGuard() : location(data.outside("ts")) {
        std::filesystem::create_directory(location);
    }
    void take_location(const std::string& version = "PG_15_202209061") {
        std::filesystem::create_directory(location + "/" + version);
        test::write_text(location + "/" + version + "/file", "x");
    }
    std::optional<ErrorCode> check() {
        return test::error_of([&] {
            check_location_is_free(find_recovering_cluster(data.path()).value(), location);
        });
    }
    std::optional<ErrorCode> check(const WalBuilder& builder, uint64_t number) {
        const Bytes segment = builder.segment(number);
        return test::error_of([&] {
            check_tablespaces_in(find_recovering_cluster(data.path()).value(), segment, number,
                                 [&] {
                                     ++followed;
                                     return std::optional(builder.segment(number + 1));
                                 });
        });
    }
    test::DataDirectory data;
    std::string location;
    int followed = 0;
};

TEST_F(TablespaceGuard, AFreeLocationIsFine) {
    EXPECT_EQ(check(), std::nullopt);
    std::filesystem::remove(location);
    EXPECT_EQ(check(), std::nullopt);
}

TEST_F(TablespaceGuard, AnotherClustersTablespaceIsRefused) {
    take_location();
    EXPECT_EQ(check(), ErrorCode::refused);
}

TEST_F(TablespaceGuard, AnEmptyOneMayBeInUseToo) {
    std::filesystem::create_directory(location + "/PG_15_202209061");
    EXPECT_EQ(check(), ErrorCode::refused);
}

TEST_F(TablespaceGuard, AnotherMajorVersionsDirectoryIsNotTouchedByReplay) {
    take_location("PG_16_202307071");
    take_location("PG_150_1");
    EXPECT_EQ(check(), std::nullopt);
}

// Replay that is started again finds the tablespace that it made itself.
TEST_F(TablespaceGuard, TheClustersOwnTablespaceIsFine) {
    take_location();
    std::filesystem::create_directory_symlink(data.outside("elsewhere"),
                                              data.path() + "/pg_tblspc/16399");
    EXPECT_EQ(check(), ErrorCode::refused);
    std::filesystem::create_directory_symlink(location, data.path() + "/pg_tblspc/16400");
    EXPECT_EQ(check(), std::nullopt);
}

TEST_F(TablespaceGuard, ALinkToTheLocationIsTheLocation) {
    take_location();
    std::filesystem::create_directory_symlink(location, data.outside("alias"));
    std::filesystem::create_directory_symlink(data.outside("alias"),
                                              data.path() + "/pg_tblspc/16400");
    EXPECT_EQ(check(), std::nullopt);
}

TEST_F(TablespaceGuard, FindsTheRecordInASegment) {
    take_location();
    WalBuilder builder(5);
    builder.add_of_size(1000);
    builder.add_tablespace(16400, location);
    builder.fill_segment();
    EXPECT_EQ(check(builder, 5), ErrorCode::refused);
    WalBuilder other(5);
    other.add_tablespace(16400, "");
    other.add_tablespace(16401, data.outside("free"));
    other.fill_segment();
    EXPECT_EQ(check(other, 5), std::nullopt);
    EXPECT_EQ(followed, 0);
}

TEST_F(TablespaceGuard, FollowsARecordIntoTheNextSegment) {
    take_location();
    for (const uint64_t on_first : {24U, 16U, 40U}) {
        WalBuilder builder(5);
        while (builder.position() < 6 * kSize - 8192)
            builder.add_of_size(1000);
        builder.add_of_size(static_cast<uint32_t>(6 * kSize - builder.position() - on_first));
        const Lsn lsn = builder.add_tablespace(16400, location);
        ASSERT_EQ(lsn, 6 * kSize - on_first);
        builder.fill_segment();
        EXPECT_EQ(check(builder, 5), ErrorCode::refused) << on_first;
    }
    EXPECT_EQ(followed, 3);
}

TEST_F(TablespaceGuard, AsksForTheNextSegmentOnlyWhereItMatters) {
    take_location();
    WalBuilder builder(5);
    while (builder.position() < 6 * kSize - 8192)
        builder.add_of_size(1000);
    builder.add_of_size(20000);
    EXPECT_EQ(check(builder, 5), std::nullopt);
    EXPECT_EQ(followed, 0);
}

// The backup has the tablespace already, mapped to another place perhaps.
TEST_F(TablespaceGuard, RecordsBeforeTheStartOfReplayDontCount) {
    take_location();
    WalBuilder builder(5);
    const Lsn lsn = builder.add_tablespace(16400, location);
    builder.fill_segment();
    data.write_control(lsn);
    EXPECT_EQ(check(builder, 5), ErrorCode::refused);
    data.write_control(lsn + 8);
    EXPECT_EQ(check(builder, 5), std::nullopt);
    // While there is a backup_label it says where replay begins.
    test::write_text(data.path() + "/backup_label",
                     "START WAL LOCATION: " + to_text(lsn) + " (file 000000010000000000000005)\n");
    EXPECT_EQ(check(builder, 5), ErrorCode::refused);
}

TEST_F(TablespaceGuard, OtherDirectoriesAreNoDataDirectories) {
    EXPECT_FALSE(find_recovering_cluster("/nonexistent"));
    EXPECT_FALSE(find_recovering_cluster(location));
    const auto cluster = find_recovering_cluster(data.path());
    ASSERT_TRUE(cluster);
    EXPECT_EQ(cluster->system_identifier, WalBuilder::kSystemIdentifier);
    EXPECT_EQ(cluster->major_version, "15");
}

TEST(TablespaceVerdict, WholeSegmentsSayItThemselves) {
    WalBuilder builder(5);
    builder.fill_segment();
    builder.fill_segment_but(64);
    builder.add_of_size(200);  // all of its header is there
    builder.add_tablespace(16400, "/ts");
    builder.fill_segment();
    EXPECT_TRUE(judge_tablespaces(builder.segment(5), 5).is_free);
    EXPECT_TRUE(judge_tablespaces(builder.segment(6), 6).is_free);
    const TablespaceVerdict verdict = judge_tablespaces(builder.segment(7), 7);
    EXPECT_FALSE(verdict.is_free);
    EXPECT_FALSE(verdict.cut);
}

TEST(TablespaceVerdict, ACutHeaderIsFollowedIntoTheNextSegment) {
    for (const uint64_t on_page : {8, 16}) {
        WalBuilder builder(5);
        builder.fill_segment_but(on_page);
        builder.add_of_size(200);
        builder.fill_segment_but(on_page);
        builder.add_tablespace(16400, "/ts");
        builder.fill_segment();
        const auto harmless = judge_tablespaces(builder.segment(5), 5);
        EXPECT_FALSE(harmless.is_free);
        ASSERT_TRUE(harmless.cut);
        EXPECT_EQ(harmless.cut->on_page, on_page);
        EXPECT_EQ(harmless.cut->length, 200U);
        EXPECT_TRUE(goes_on_without_tablespace(*harmless.cut, builder.segment(6)));
        const auto creates = judge_tablespaces(builder.segment(6), 6);
        ASSERT_TRUE(creates.cut);
        EXPECT_FALSE(goes_on_without_tablespace(*creates.cut, builder.segment(7)));
        // Not the rest of this record: of another length, or too little to tell.
        EXPECT_FALSE(goes_on_without_tablespace(*harmless.cut, builder.segment(7)));
        const Bytes next = builder.segment(6);
        EXPECT_FALSE(goes_on_without_tablespace(*harmless.cut, ByteView(next).first(40)));
    }
}

// After a crash recovery went on behind a record that was never finished.
TEST(TablespaceVerdict, AnAbandonedRecordSaysNothing) {
    WalBuilder builder(5);
    builder.fill_segment_but(8);
    builder.add_abandoned(200);
    builder.fill_segment();
    const auto verdict = judge_tablespaces(builder.segment(5), 5);
    ASSERT_TRUE(verdict.cut);
    EXPECT_FALSE(goes_on_without_tablespace(*verdict.cut, builder.segment(6)));
}

}  // namespace
}  // namespace ark
