#include "core/repo/stored_segments.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "test/support/store_decorator.hpp"

namespace ark {
namespace {

constexpr uint64_t kSegment = 16 << 20;

struct StoredSegmentsTest : public testing::Test {
    StoredSegmentsTest() {
        Repository::open(std::make_unique<test::StoreDecorator>(store, [](auto&&...) {}),
                         OpenMode::create);
        repository = Repository::open(std::make_unique<test::StoreDecorator>(
                                          store,
                                          [this](const std::string& call, const std::string& name) {
                                              if (call == "list" || call == "list_parts")
                                                  listed.push_back(name);
                                          }),
                                      OpenMode::read);
        listed.clear();
    }
    void put(const std::string& place) { store->put_if_absent("c/" + place, as_bytes("x")); }
    void put_segment(uint64_t number) { put(place::segment(segment_name({1, number}, kSegment))); }
    std::vector<uint64_t> found(uint64_t first, size_t at_most = 100) {
        std::vector<uint64_t> numbers;
        find_stored_segments(*repository, {"c", 1, kSegment, first}, [&](uint64_t number) {
            numbers.push_back(number);
            return numbers.size() < at_most;
        });
        return numbers;
    }

    std::shared_ptr<ObjectStore> store = make_memory_store();
    std::unique_ptr<Repository> repository;
    std::vector<std::string> listed;
};

TEST_F(StoredSegmentsTest, WholeSegmentsFromOneOnInOrder) {
    for (const uint64_t number : {255, 3, 256, 7, 512})
        put_segment(number);
    put("wal/00000001/00000000/0000000100000000000000FE.partial.00ff.zst");
    put("wal/00000001/00000000/something.zst");
    put("wal/00000001/nonsense/x");
    put("wal/00000001/00000001.history");
    EXPECT_EQ(found(0), (std::vector<uint64_t>{3, 7, 255, 256, 512}));
    EXPECT_EQ(found(7), (std::vector<uint64_t>{7, 255, 256, 512}));
    EXPECT_EQ(found(513), std::vector<uint64_t>{});
    EXPECT_EQ(found(0, 2), (std::vector<uint64_t>{3, 7}));
}

TEST_F(StoredSegmentsTest, OlderWalIsNotListed) {
    for (uint64_t number = 0; number < 4096; number += 16)
        put_segment(number);
    found(4000);
    EXPECT_EQ(listed, (std::vector<std::string>{"c/wal/00000001", "c/wal/00000001/0000000F"}));
    listed.clear();
    found(0, 1);
    EXPECT_EQ(listed.size(), 2U);
}

}  // namespace
}  // namespace ark
