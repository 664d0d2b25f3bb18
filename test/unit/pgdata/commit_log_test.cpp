#include "core/pgdata/commit_log.hpp"

#include <filesystem>

#include <gtest/gtest.h>

#include "core/base/file.hpp"
#include "test/support/temporary_directory.hpp"

namespace ark {
namespace {

constexpr uint32_t kXactsPerSegment = 1 << 20;

class CommitLogTest : public testing::Test {
 protected:
    CommitLogTest() { std::filesystem::create_directory(directory_.path() + "/pg_xact"); }

    void write(const std::string& name, const Bytes& content) {
        write_file_durably(directory_.path() + "/pg_xact/" + name, content, 0600);
    }

    test::TemporaryDirectory directory_;
};

TEST_F(CommitLogTest, TwoBitsATransaction) {
    write("0000", Bytes{std::byte{0xD8}, std::byte{0x93}});
    const CommitLog log(directory_.path(), 3, 8);
    EXPECT_EQ(log.status(3), XactStatus::sub_committed);
    EXPECT_EQ(log.status(4), XactStatus::sub_committed);
    EXPECT_EQ(log.status(5), XactStatus::in_progress);
    EXPECT_EQ(log.status(6), XactStatus::committed);
    EXPECT_EQ(log.status(7), XactStatus::aborted);
    for (const uint32_t none : {0U, 1U, 2U, 8U, 9U, ~0U})
        EXPECT_EQ(log.status(none), std::nullopt) << none;
}

TEST_F(CommitLogTest, IdsThatWentRound) {
    write("0FFF", Bytes(kXactsPerSegment / 4, std::byte{0b01'01'01'01}));
    write("0000", Bytes(8192, std::byte{0b10'10'10'10}));
    write("0001", Bytes(8192, std::byte{0b01'01'01'01}));
    const uint32_t oldest = ~0U - 10;
    const CommitLog log(directory_.path(), oldest, 20);
    EXPECT_EQ(log.status(oldest), XactStatus::committed);
    EXPECT_EQ(log.status(~0U), XactStatus::committed);
    EXPECT_EQ(log.status(19), XactStatus::aborted);
    EXPECT_EQ(log.status(2), std::nullopt);
    EXPECT_EQ(log.status(oldest - 1), std::nullopt);
    EXPECT_EQ(log.status(20), std::nullopt);
    EXPECT_EQ(log.status(kXactsPerSegment), std::nullopt);
}

TEST_F(CommitLogTest, WhatIsNotThereIsNotKnown) {
    write("0000", Bytes(1, std::byte{0b01'01'01'01}));
    write("0002", {});
    write("junk", Bytes(8192));
    write("00000", Bytes(8192));
    const CommitLog log(directory_.path(), 3, ~0U);
    EXPECT_EQ(log.status(3), XactStatus::committed);
    EXPECT_EQ(log.status(4), std::nullopt);
    EXPECT_EQ(log.status(kXactsPerSegment), std::nullopt);
    EXPECT_EQ(log.status(2 * kXactsPerSegment), std::nullopt);
}

}  // namespace
}  // namespace ark
