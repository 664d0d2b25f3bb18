#include "core/base/fault.hpp"

#include "test/support/expect_error.hpp"

namespace ark {
namespace {

#if defined(PG_ARK_TEST_FAULTS)

class Faults : public testing::Test {
 protected:
    ~Faults() override { set_faults(""); }
};

TEST_F(Faults, StrikeAtTheirPointAndPassing) {
    set_faults("one=enospc@3,two=eio");
    fault_point("one");
    fault_point("other");
    fault_point("one");
    const Error error = test::expect_error(ErrorCode::disk_full, [] {
        fault_point("one");
        return 0;
    });
    EXPECT_TRUE(test::mentions(error.message, "one"));
    fault_point("one");  // once
    test::expect_error(ErrorCode::io_error, [] {
        fault_point("two");
        return 0;
    });
}

TEST_F(Faults, ANewSpecificationReplacesTheOld) {
    set_faults("one=eio");
    set_faults("two=eio,nonsense,three=unknown");
    fault_point("one");
    fault_point("three");
}

TEST_F(Faults, TheProcessEndsAsTheActionSays) {
    set_faults("here=exit3");
    EXPECT_EXIT(fault_point("here"), testing::ExitedWithCode(3), "");
    set_faults("here=kill");
    EXPECT_EXIT(fault_point("here"), testing::KilledBySignal(SIGKILL), "");
}

#else

TEST(Faults, AreNotInThisBuild) {
    set_faults("backup_before_marker=eio");
    PG_ARK_FAULT_POINT("backup_before_marker");
}

#endif

}  // namespace
}  // namespace ark
