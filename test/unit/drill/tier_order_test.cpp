#include "core/drill/tier_order.hpp"

#include <gtest/gtest.h>

namespace ark {
namespace {

TierOrder example() {
    return TierOrder(nlohmann::json::parse(R"([
        {"position": 20, "databases": ["shop"], "schemas": [["billing"], ["shop", "stock"]], "tables": []},
        {"position": 10, "databases": [], "schemas": [], "tables": [["public", "orders"], ["other", "Odd", "a.\"b"], ["shop", "stock", "bin"]]},
        {"position": 30, "tables": [["billing", "log"]]}
    ])"));
}

TEST(TierOrder, TheTableCountsBeforeItsSchemaBeforeItsDatabase) {
    const TierOrder order = example();
    EXPECT_EQ(order.position("x", "public.orders"), 10);
    EXPECT_EQ(order.position("shop", "public.orders"), 10);
    EXPECT_EQ(order.position("x", "billing.invoice"), 20);
    EXPECT_EQ(order.position("x", "billing.log"), 30);
    EXPECT_EQ(order.position("shop", "stock.bin"), 10);
    EXPECT_EQ(order.position("shop", "stock.shelf"), 20);
    EXPECT_EQ(order.position("x", "stock.shelf"), TierOrder::kLast);
    EXPECT_EQ(order.position("shop", "public.other"), 20);
    EXPECT_EQ(order.position("shop", ""), 20);
    EXPECT_EQ(order.position("x", ""), TierOrder::kLast);
}

TEST(TierOrder, NamesAreQuotedAsInSql) {
    EXPECT_EQ(example().position("other", R"("Odd"."a.""b")"), 10);
    EXPECT_EQ(example().position("other", R"(odd."a.""b")"), TierOrder::kLast);
}

TEST(TierOrder, ADatabaseComesWithTheFirstOfWhatIsNamedWithIt) {
    EXPECT_EQ(example().first_in("shop"), 10);
    EXPECT_EQ(example().first_in("other"), 10);
    EXPECT_EQ(example().first_in("x"), TierOrder::kLast);
}

TEST(TierOrder, WhatIsNoListOfTiersOrdersNothing) {
    for (const char* text : {"null", "{}", "[1, {}, {\"position\": \"1\"}]",
                             R"([{"position": 1, "tables": [1, [], [2], "x"], "databases": 3}])"})
        EXPECT_EQ(TierOrder(nlohmann::json::parse(text)).position("a", "b.c"), TierOrder::kLast);
}

}  // namespace
}  // namespace ark
