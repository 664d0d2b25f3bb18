#include "core/changes/change_table.hpp"

#include <random>

#include <gtest/gtest.h>

namespace ark {
namespace {

constexpr RelationId kTable{1663, 5, 16384};
constexpr RelationId kOther{1663, 5, 16385};

std::vector<uint64_t> blocks_of(const ChangeTable& table, const RelationId& id) {
    std::vector<uint64_t> out;
    if (const RelationChanges* changes = table.find(id)) {
        changes->blocks.for_each_run(0, UINT32_MAX, [&](uint64_t first, uint64_t n) {
            for (uint64_t i = 0; i < n; ++i)
                out.push_back(first + i);
        });
    }
    return out;
}

TEST(ChangeTable, ALimitForgetsWhatLayBehindIt) {
    ChangeTable table;
    table.add_block(kTable, 3);
    table.add_block(kTable, 9);
    table.set_limit(kTable, 5);
    table.add_block(kTable, 7);
    table.set_limit(kTable, 8);  // longer again meanwhile: the shortest counts
    EXPECT_EQ(table.find(kTable)->limit, 5U);
    EXPECT_EQ(blocks_of(table, kTable), (std::vector<uint64_t>{3, 7}));
    EXPECT_EQ(table.find(kOther), nullptr);
}

TEST(ChangeTable, WhatCameLaterCounts) {
    ChangeTable first;
    first.add_block(kTable, 3);
    first.add_block(kTable, 9);
    first.set_limit(kOther, 2);
    first.add_block(kOther, 4);
    ChangeTable second;
    second.set_limit(kTable, 5);
    second.add_block(kTable, 8);
    second.add_block(kOther, 1);
    second.add_database({1663, 77});
    first.merge(second);
    EXPECT_EQ(first.find(kTable)->limit, 5U);
    EXPECT_EQ(blocks_of(first, kTable), (std::vector<uint64_t>{3, 8}));
    EXPECT_EQ(first.find(kOther)->limit, 2U);
    EXPECT_EQ(blocks_of(first, kOther), (std::vector<uint64_t>{1, 4}));
    EXPECT_TRUE(first.has({1663, 77}));
    EXPECT_FALSE(first.has({1664, 77}));
}

// Cut anywhere, also so that the parts overlap.
TEST(ChangeTable, PartsMakeTheWhole) {
    std::mt19937 random(3);
    struct Event {
        RelationId id;
        bool limit;
        uint32_t block;
    };
    const auto apply = [](const std::vector<Event>& events, size_t from, size_t to) {
        ChangeTable table;
        for (size_t i = from; i < to; ++i) {
            if (events[i].limit)
                table.set_limit(events[i].id, events[i].block);
            else
                table.add_block(events[i].id, events[i].block);
        }
        return table;
    };
    for (int round = 0; round < 200; ++round) {
        std::vector<Event> events;
        for (int i = 0; i < 60; ++i) {
            events.push_back({{1663, 5, 1 + static_cast<uint32_t>(random()) % 3},
                              random() % 8 == 0,
                              static_cast<uint32_t>(random()) % 20});
        }
        const size_t first_end = random() % 61;
        const size_t second_begin = random() % (first_end + 1);
        ChangeTable table = apply(events, 0, first_end);
        table.merge(apply(events, second_begin, events.size()));
        ASSERT_EQ(table, apply(events, 0, events.size())) << round;
    }
}

TEST(ChangeTable, ManyRelationsTakeTensOfMegabytes) {
    std::mt19937 random(4);
    ChangeTable table;
    for (uint32_t i = 0; i < 100000; ++i) {
        for (int n = 0; n < 13; ++n)
            table.add_block({1663, 5, 16384 + i}, static_cast<uint32_t>(random()) % 2000);
    }
    EXPECT_EQ(table.relations(), 100000U);
    EXPECT_GT(table.blocks(), 1200000U);  // 10 GB
    EXPECT_LT(table.memory_bytes(), 40000000U);
    RecordProperty("memory_bytes", static_cast<int>(table.memory_bytes()));
}

}  // namespace
}  // namespace ark
