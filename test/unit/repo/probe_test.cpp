#include "core/repo/probe.hpp"

#include <gtest/gtest.h>

#include "test/support/store_decorator.hpp"

namespace ark {
namespace {

ProbeResult probe(const std::shared_ptr<ObjectStore>& store, test::StoreDecorator::Hook hook) {
    Repository::open(std::make_unique<test::StoreDecorator>(store, [](auto&&...) {}),
                     OpenMode::create);
    const auto repository = Repository::open(
        std::make_unique<test::StoreDecorator>(store, [](auto&&...) {}), OpenMode::read);
    bool armed = false;
    const auto decorated =
        Repository::open(std::make_unique<test::StoreDecorator>(
                             store,
                             [&](const std::string& call, const std::string& name) {
                                 if (armed)
                                     hook(call, name);
                             }),
                         OpenMode::read);
    armed = true;
    return probe_repository(*decorated);
}

TEST(Probe, AGoodStoreIsWritableAndLeftClean) {
    const std::shared_ptr<ObjectStore> store = make_memory_store();
    const ProbeResult result = probe(store, [](auto&&...) {});
    EXPECT_TRUE(result.writable);
    EXPECT_TRUE(result.create_if_absent);
    EXPECT_EQ(result.detail, "");
    EXPECT_EQ(store->list_parts(""), std::vector<std::string>{"ark.json"});
}

TEST(Probe, AStoreThatOverwritesIsFoundOut) {
    const std::shared_ptr<ObjectStore> store = make_memory_store();
    int puts = 0;
    const ProbeResult result = probe(store, [&](const std::string& call, const std::string& name) {
        if (call == "put" && ++puts == 2)
            store->remove(name);
    });
    EXPECT_TRUE(result.writable);
    EXPECT_FALSE(result.create_if_absent);
    EXPECT_NE(result.detail.find("create-if-absent"), std::string::npos);
}

TEST(Probe, WhatTheStoreSaysIsTheResult) {
    const ProbeResult result =
        probe(make_memory_store(), [](const std::string& call, const std::string&) {
            if (call == "put")
                throw Error(ErrorCode::permission_denied, "read-only file system", "Facts.");
        });
    EXPECT_FALSE(result.writable);
    EXPECT_EQ(result.detail, "read-only file system. Facts.");
}

}  // namespace
}  // namespace ark
