#include "core/store/store_check.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "core/http/failure.hpp"
#include "test/support/store_decorator.hpp"

namespace ark {
namespace {

constexpr const char* kPlace = "ark-probe/test";

struct StoreCheckTest : public testing::Test {
    /// Checks `store`, with what `hook` does to it.
    StoreCheck check(test::StoreDecorator::Hook hook) {
        test::StoreDecorator decorated(store, std::move(hook));
        decorated.skew = skew;
        decorated.atomic = atomic;
        found.clear();
        return check_store(decorated, kPlace,
                           [this](const StoreFinding& finding) { found[finding.name] = finding; });
    }
    /// The same, where every call of a kind is refused.
    StoreCheck check_without(const std::string& call_refused) {
        return check([&](const std::string& call, const std::string&) {
            if (call == call_refused)
                throw HttpFailure(Failure::access_denied, "no", "Status 403.");
        });
    }
    std::string levels() const {
        std::string out;
        for (const auto& [name, finding] : found) {
            if (finding.level != CheckLevel::good)
                out += name + "=" + name_of(finding.level) + " ";
        }
        return out;
    }

    std::shared_ptr<ObjectStore> store = make_memory_store();
    std::optional<int64_t> skew;
    bool atomic = true;
    std::map<std::string, StoreFinding> found;
};

TEST_F(StoreCheckTest, AGoodStoreIsGoodAndLeftClean) {
    const StoreCheck result = check([](auto&&...) {});
    EXPECT_EQ(levels(), "");
    EXPECT_EQ(result.worst, CheckLevel::good);
    EXPECT_TRUE(result.is_writable);
    EXPECT_TRUE(result.creates_if_absent);
    EXPECT_EQ(result.trouble, "");
    EXPECT_GT(result.round_trip, 0);
    EXPECT_GT(result.write_rate, 0);
    EXPECT_GT(result.read_rate, 0);
    EXPECT_EQ(found.size(), 8U);  // no clock
    EXPECT_EQ(store->list_parts(""), std::vector<std::string>{});
}

TEST_F(StoreCheckTest, EachRightThatIsMissingIsNamed) {
    EXPECT_FALSE(check_without("put").is_writable);
    EXPECT_EQ(levels(), "right_delete=note right_put=error ");
    EXPECT_EQ(found["right_put"].detail, "the right is missing: no. Status 403.");
    EXPECT_NE(found["right_put"].hint, "");
    EXPECT_TRUE(check_without("get").is_writable);
    EXPECT_EQ(levels(), "right_get=error ");
    check_without("list");
    EXPECT_EQ(levels(), "right_list=error ");
    check_without("remove_temporaries");
    EXPECT_EQ(levels(), "right_multipart=note ");
}

TEST_F(StoreCheckTest, NothingIsSaidOfTheClockOfAStoreThatIsAway) {
    skew = 0;
    check([](auto&&...) { throw HttpFailure(Failure::connect, "away"); });
    EXPECT_FALSE(found.contains("clock"));
    check_without("put");
    EXPECT_TRUE(found.contains("clock"));
}

TEST_F(StoreCheckTest, WithoutTheRightToRemoveItIsANote) {
    const StoreCheck result = check_without("remove");
    EXPECT_EQ(levels(), "right_delete=note ");
    EXPECT_EQ(result.worst, CheckLevel::note);
    EXPECT_NE(found["right_delete"].hint.find("ark-probe/"), std::string::npos);
    EXPECT_EQ(store->list_parts(""), std::vector<std::string>{"ark-probe"});
    // What each check leaves is small, so the speed is not measured.
    uint64_t bytes = 0;
    store->list("", [&](const ObjectInfo& object) {
        bytes += object.size;
        return true;
    });
    EXPECT_LT(bytes, 1000U);
    EXPECT_EQ(found.size(), 8U);
    EXPECT_EQ(found["throughput"].detail,
              "not measured: what it takes could not be removed afterwards");
    EXPECT_EQ(result.write_rate, std::nullopt);
    EXPECT_TRUE(found.contains("right_multipart"));
}

TEST_F(StoreCheckTest, AFailureIsNoMissingRight) {
    const StoreCheck result = check([&](const std::string& call, const std::string&) {
        if (call == "put")
            throw HttpFailure(Failure::certificate, "no", "Unknown authority.");
    });
    EXPECT_EQ(found["right_put"].detail, "no. Unknown authority.");
    EXPECT_EQ(result.trouble, "no. Unknown authority.");
}

TEST_F(StoreCheckTest, AStoreThatIsAwayIsAskedOnce) {
    int asked = 0;
    check([&](const std::string&, const std::string&) {
        ++asked;
        throw HttpFailure(Failure::connect, "nobody there");
    });
    EXPECT_EQ(asked, 1);
    EXPECT_EQ(levels(), "right_put=error ");
}

TEST_F(StoreCheckTest, AStoreThatOverwritesIsFoundOut) {
    const StoreCheck result = check([&](const std::string& call, const std::string& name) {
        if (call == "put" && name.ends_with("/small"))
            store->remove(name);
    });
    EXPECT_FALSE(result.creates_if_absent);
    EXPECT_EQ(levels(), "create_if_absent=error ");
    EXPECT_NE(found["create_if_absent"].detail.find("overwrote"), std::string::npos);
}

TEST_F(StoreCheckTest, AStoreThatLetsSeveralRacersWinIsFoundOut) {
    std::mutex racing;
    int racers = 0;
    // Each racer but the first finds that what the one before it wrote has gone.
    const auto forget = [&](const std::string& call, const std::string& name) {
        if (call != "put" || !name.ends_with("/race2"))
            return;
        const std::lock_guard lock(racing);
        if (racers++ % 4 == 0)
            return;
        while (!store->head(name))
            std::this_thread::yield();
        store->remove(name);
    };
    EXPECT_FALSE(check(forget).creates_if_absent);
    EXPECT_EQ(levels(), "create_if_absent=error ");
    EXPECT_NE(found["create_if_absent"].detail.find("of 4 writers"), std::string::npos);
    // The user has said so.
    atomic = false;
    EXPECT_TRUE(check(forget).creates_if_absent);
    EXPECT_EQ(levels(), "create_if_absent=note ");
}

// Who races for it a few times may be lucky; streaming does not rely on luck.
TEST_F(StoreCheckTest, AStoreThatMayOverwriteIsToldWhoeverWins) {
    atomic = false;
    EXPECT_TRUE(check([](const std::string&, const std::string&) {}).creates_if_absent);
    EXPECT_EQ(levels(), "create_if_absent=note ");
    EXPECT_NE(found["create_if_absent"].detail.find("WAL is not streamed"), std::string::npos);
}

TEST_F(StoreCheckTest, WhatStaysHasToBeTheWinners) {
    check([&](const std::string& call, const std::string& name) {
        if (call == "get" && name.ends_with("/race3")) {
            store->remove(name);
            store->put_if_absent(name, as_bytes("a loser's\n"));
        }
    });
    EXPECT_EQ(levels(), "create_if_absent=error ");
}

TEST_F(StoreCheckTest, OtherBytesThanWerePutAreAnError) {
    check([&](const std::string& call, const std::string& name) {
        if (call == "put-answer" && name.ends_with("/small")) {
            store->remove(name);
            store->put_if_absent(name, as_bytes("something\n"));
        }
    });
    EXPECT_EQ(found["right_get"].level, CheckLevel::error);
}

TEST_F(StoreCheckTest, TheClock) {
    for (const auto& [seconds, wanted] : std::map<int64_t, std::string>{{0, ""},
                                                                        {-59, ""},
                                                                        {61, "clock=warning "},
                                                                        {-899, "clock=warning "},
                                                                        {901, "clock=error "}}) {
        skew = seconds;
        check([](auto&&...) {});
        EXPECT_EQ(levels(), wanted) << seconds;
    }
    EXPECT_EQ(found["clock"].detail, "the store's clock is 901 s ahead");
}

}  // namespace
}  // namespace ark
