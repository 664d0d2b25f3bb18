#include "core/base/library.hpp"

#include <gtest/gtest.h>

#include "core/base/error.hpp"

namespace ark {
namespace {

TEST(Library, GivesItsFunctions) {
    const Library math("libm.so.6", "libc6");
    double (*floor_of)(double) = math["floor"];
    EXPECT_EQ(floor_of(1.5), 1.0);
}

TEST(Library, SaysWhatIsMissingAndWhereItIs) {
    try {
        const Library none("libpg_ark_has_no_such.so.1", "libsuch1");
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code, ErrorCode::unsupported);
        EXPECT_NE(error.message.find("libpg_ark_has_no_such.so.1"), std::string::npos);
        EXPECT_NE(error.hint.find("libsuch1"), std::string::npos);
    }
}

TEST(Library, ATooOldOneIsToldOf) {
    const Library math("libm.so.6", "libc6");
    try {
        double (*none)(double) = math["pg_ark_has_no_such"];
        FAIL() << none;
    } catch (const Error& error) {
        EXPECT_EQ(error.code, ErrorCode::unsupported);
        EXPECT_NE(error.message.find("pg_ark_has_no_such"), std::string::npos);
    }
}

}  // namespace
}  // namespace ark
