#include "core/changes/block_set.hpp"

#include <random>
#include <set>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace ark {
namespace {

using Runs = std::vector<std::pair<uint64_t, uint64_t>>;

Runs runs_of(const BlockSet& set, uint64_t from = 0, uint64_t to = UINT32_MAX) {
    Runs out;
    set.for_each_run(from, to, [&](uint64_t first, uint64_t n) { out.emplace_back(first, n); });
    return out;
}

// The slow way.
Runs runs_of(const std::set<uint32_t>& blocks, uint64_t from, uint64_t to) {
    Runs out;
    for (const uint32_t block : blocks) {
        if (block < from || block >= to)
            continue;
        if (!out.empty() && out.back().first + out.back().second == block)
            ++out.back().second;
        else
            out.emplace_back(block, 1);
    }
    return out;
}

TEST(BlockSet, KeepsEachBlockOnce) {
    BlockSet set;
    EXPECT_TRUE(set.empty());
    EXPECT_TRUE(set.add(7));
    EXPECT_FALSE(set.add(7));
    EXPECT_TRUE(set.add(3));
    EXPECT_TRUE(set.add(UINT32_MAX - 1));
    EXPECT_EQ(set.size(), 3U);
    EXPECT_TRUE(set.contains(3));
    EXPECT_FALSE(set.contains(4));
    EXPECT_FALSE(set.contains(65536 + 3));
    EXPECT_EQ(runs_of(set), (Runs{{3, 1}, {7, 1}, {UINT32_MAX - 1, 1}}));
}

TEST(BlockSet, RunsGoOnFromChunkToChunk) {
    BlockSet set;
    set.add_run(65530, 65536 + 12);
    EXPECT_EQ(runs_of(set), (Runs{{65530, 65548}}));
    EXPECT_EQ(runs_of(set, 65531, 131074), (Runs{{65531, 65543}}));
    EXPECT_EQ(runs_of(set, 131078, 140000), Runs{});
    EXPECT_EQ(runs_of(set, 0, 65530), Runs{});
    set.add(65528);
    EXPECT_EQ(runs_of(set), (Runs{{65528, 1}, {65530, 65548}}));
}

TEST(BlockSet, IsWhatASetOfNumbersIs) {
    std::mt19937 random(1);
    for (int round = 0; round < 30; ++round) {
        BlockSet set;
        std::set<uint32_t> numbers;
        const uint32_t span = round % 3 == 0 ? 200000 : 5000;
        const int operations = round % 2 == 0 ? 300 : 6000;
        for (int i = 0; i < operations; ++i) {
            const uint32_t block = 65000 + static_cast<uint32_t>(random()) % span;
            if (random() % 500 == 0) {
                set.cut(block);
                numbers.erase(numbers.lower_bound(block), numbers.end());
            } else if (random() % 50 == 0) {
                const uint32_t length = static_cast<uint32_t>(random()) % 3000;
                set.add_run(block, length);
                for (uint32_t n = 0; n < length; ++n)
                    numbers.insert(block + n);
            } else {
                ASSERT_EQ(set.add(block), numbers.insert(block).second);
            }
        }
        ASSERT_EQ(set.size(), numbers.size());
        ASSERT_EQ(runs_of(set), runs_of(numbers, 0, UINT32_MAX));
        const uint64_t from = 65000 + random() % span;
        const uint64_t to = from + random() % span;
        ASSERT_EQ(runs_of(set, from, to), runs_of(numbers, from, to));
        // However it came about, it is the same.
        BlockSet again;
        for (auto block = numbers.rbegin(); block != numbers.rend(); ++block)
            again.add(*block);
        ASSERT_EQ(set, again);
        BlockSet both;
        both.add_all(set);
        ASSERT_EQ(set, both);
        set.cut(0);
        ASSERT_TRUE(set.empty());
    }
}

TEST(BlockSet, TakesLittleMemory) {
    BlockSet dense;
    dense.add_run(0, 1310720);  // 10 GB
    EXPECT_LT(dense.memory_bytes(), 200000U);
    std::mt19937 random(2);
    BlockSet sparse;
    while (sparse.size() < 100000)
        sparse.add(static_cast<uint32_t>(random()) % 13107200);  // of 100 GB
    EXPECT_LT(sparse.memory_bytes(), 8 * sparse.size());
}

}  // namespace
}  // namespace ark
