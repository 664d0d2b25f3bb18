#include "core/base/error.hpp"

#include <cerrno>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace ark {
namespace {

// The table is looked up by position: a code added in one place only would get its neighbour's row.
TEST(Error, EveryCodeHasItsOwnRow) {
    EXPECT_STREQ(name_of(ErrorCode::invalid_argument), "invalid_argument");
    EXPECT_STREQ(name_of(ErrorCode::conflict), "conflict");
    EXPECT_STREQ(name_of(ErrorCode::corrupt), "corrupt");
    EXPECT_STREQ(name_of(ErrorCode::invalid_key), "invalid_key");
    EXPECT_STREQ(name_of(ErrorCode::target_unreachable), "target_unreachable");
    EXPECT_STREQ(name_of(ErrorCode::internal), "internal");
    std::set<std::string> names;
    for (int i = 0; i <= static_cast<int>(ErrorCode::internal); ++i) {
        const auto code = static_cast<ErrorCode>(i);
        EXPECT_TRUE(names.insert(name_of(code)).second) << name_of(code);
        EXPECT_EQ(std::string(sqlstate_of(code)).size(), 5U);
        EXPECT_GE(exit_status_of(code), 1);
        // restore_command: above 125 ends a recovery.
        EXPECT_LE(exit_status_of(code), 125);
    }
    EXPECT_EQ(exit_status_of(ErrorCode::not_found), 4);
    EXPECT_EQ(exit_status_of(ErrorCode::corrupt), 6);
}

TEST(Error, OnlyWhatMayPassIsRetryable) {
    EXPECT_TRUE(Error(ErrorCode::unavailable, "x").retryable);
    EXPECT_TRUE(Error(ErrorCode::timeout, "x").retryable);
    EXPECT_FALSE(Error(ErrorCode::conflict, "x").retryable);
    EXPECT_FALSE(Error(ErrorCode::corrupt, "x").retryable);
}

TEST(Error, SystemErrorsKeepTheirMeaning) {
    EXPECT_EQ(system_error(ENOSPC, "x").code, ErrorCode::disk_full);
    EXPECT_EQ(system_error(EDQUOT, "x").code, ErrorCode::disk_full);
    EXPECT_EQ(system_error(EROFS, "x").code, ErrorCode::permission_denied);
    EXPECT_EQ(system_error(ENOENT, "x").code, ErrorCode::not_found);
    EXPECT_EQ(system_error(ENOMEM, "x").code, ErrorCode::out_of_memory);
    const Error error = system_error(EIO, "could not read file \"a\"", "Look.");
    EXPECT_EQ(error.code, ErrorCode::io_error);
    EXPECT_EQ(error.message, "could not read file \"a\": Input/output error");
    EXPECT_EQ(error.hint, "Look.");
}

}  // namespace
}  // namespace ark
