#include "core/pgdata/visibility_map.hpp"

#include <gtest/gtest.h>

#include "core/drill/map_check.hpp"
#include "core/pgdata/page.hpp"
#include "test/support/fake_cluster.hpp"
#include "test/support/temporary_directory.hpp"

namespace ark {
namespace {

constexpr uint64_t kPerPage = VisibilityMap::kBlocksOfPage;

/// Pages of a map, each with its checksum.
class Map {
 public:
    explicit Map(size_t pages) : bytes_(pages * kPageBytes) {
        for (size_t i = 0; i < pages; ++i)
            store<uint16_t>(page(i), 14, uint16_t{8192});
    }
    Map& set(uint64_t block, unsigned bits) {
        const uint64_t place = block % kPerPage;
        page(block / kPerPage)[24 + place / 4] |= std::byte(bits << place % 4 * 2);
        return *this;
    }
    Bytes bytes() {
        for (size_t i = 0; i < bytes_.size() / kPageBytes; ++i)
            store<uint16_t>(page(i), 8, page_checksum(page(i), static_cast<uint32_t>(i)));
        return bytes_;
    }

 private:
    MutableByteView page(size_t i) {
        return MutableByteView(bytes_).subspan(i * kPageBytes, kPageBytes);
    }
    Bytes bytes_;
};

class VisibilityMapTest : public testing::Test {
 protected:
    void write(const Bytes& bytes) { test::write_file(table() + "_vm", as_text(bytes)); }
    std::string table() const { return directory_.path() + "/16384"; }
    VisibilityMap open(bool checksums = true) const { return {table(), 131072, checksums}; }

    test::TemporaryDirectory directory_;
};

TEST_F(VisibilityMapTest, TwoBitsForEachBlock) {
    write(Map(2).set(0, 1).set(5, 3).set(kPerPage - 1, 2).set(kPerPage + 2, 3).bytes());
    VisibilityMap map = open();
    for (const uint64_t block : {uint64_t{0}, uint64_t{1}, uint64_t{4}, uint64_t{5}, uint64_t{6},
                                 kPerPage - 1, kPerPage, kPerPage + 2, 2 * kPerPage}) {
        const auto state = map.of(block);
        EXPECT_EQ(state.all_visible, block == 0 || block == 5 || block == kPerPage + 2) << block;
        EXPECT_EQ(state.all_frozen, block == 5 || block == kPerPage - 1 || block == kPerPage + 2)
            << block;
    }
}

TEST_F(VisibilityMapTest, NoMap) {
    EXPECT_FALSE(open().of(0).is_set());
    write(Bytes(kPageBytes));
    EXPECT_FALSE(open().of(0).is_set());
    write(Bytes(100, std::byte{0xFF}));
    EXPECT_FALSE(open().of(0).is_set());
}

TEST_F(VisibilityMapTest, DamagedPagesSayNothing) {
    Bytes bytes = Map(1).set(7, 3).bytes();
    bytes[24] |= std::byte{1};
    write(bytes);
    EXPECT_FALSE(open().of(7).is_set());
    EXPECT_TRUE(open(false).of(7).is_set());
}

/// A page with a row that has this mask; marked all-visible or not.
Bytes table_page(uint16_t infomask, bool marked) {
    Bytes page(kPageBytes);
    store<uint16_t>(page, 10, marked ? 4 : 0);
    store<uint16_t>(page, 12, uint16_t{28});
    store<uint16_t>(page, 14, uint16_t{8160});
    store<uint16_t>(page, 16, uint16_t{8192});
    store<uint32_t>(page, 24, 8160U | 1U << 15 | 32U << 17);
    store<uint32_t>(page, 8160, 700U);
    store<uint16_t>(page, 8160 + 20, infomask);
    return page;
}

TEST_F(VisibilityMapTest, PagesThatAgree) {
    write(Map(1).set(1, 1).set(2, 3).bytes());
    MapCheck check(open());
    check.add(table_page(0x0100, false), 0);
    check.add(table_page(0x0100, true), 1);
    check.add(table_page(0x0300, true), 2);
    check.add(table_page(0x0300, true), 3);  // the map may lag behind
    EXPECT_TRUE(check.conflicts().empty());
}

TEST_F(VisibilityMapTest, PagesThatTheMapTakesForOthers) {
    write(Map(1).set(1, 1).set(2, 3).set(3, 3).set(4, 3).bytes());
    MapCheck check(open());
    check.add(table_page(0x0300, true), 0);
    check.add(table_page(0x0300, false), 1);
    check.add(Bytes(kPageBytes), 2);  // zeroed: no row of it is there for anybody
    check.add(table_page(0x0100, true), 3);
    check.add(table_page(0x0100, true), 4);
    const auto conflicts = check.conflicts();
    ASSERT_EQ(conflicts.size(), 2U);
    EXPECT_EQ(conflicts[0].block, 1U);
    EXPECT_NE(conflicts[0].message.find("2 pages"), std::string::npos) << conflicts[0].message;
    EXPECT_EQ(conflicts[1].block, 3U);
    EXPECT_NE(conflicts[1].message.find("2 rows"), std::string::npos) << conflicts[1].message;
}

}  // namespace
}  // namespace ark
