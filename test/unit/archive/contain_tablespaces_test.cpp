#include "core/archive/contain_tablespaces.hpp"

#include <gtest/gtest.h>

#include "core/pgdata/wal_reader.hpp"
#include "test/unit/wal_builder.hpp"

namespace ark {
namespace {

using test::WalBuilder;
constexpr uint64_t kSize = WalBuilder::kSegmentSize;
const std::string kPath = "/srv/live/tablespace";

class ContainTablespaces : public ::testing::Test {
 protected:
    Bytes contained(uint64_t number) {
        Bytes segment = builder.segment(number);
        changed = contain_tablespaces(segment, number, [&](uint64_t other) {
            ++asked;
            return std::optional(builder.segment(other));
        });
        return segment;
    }
    // Locations in segments 5 and 6 after containment; every record has to be readable.
    std::vector<std::string> locations_after() {
        const std::map<uint64_t, Bytes> segments{{5, contained(5)}, {6, contained(6)}};
        std::vector<std::string> out;
        WalReader reader(kSize, [&](uint64_t number) -> std::optional<ByteView> {
            const auto found = segments.find(number);
            if (found == segments.end())
                return std::nullopt;
            return found->second;
        });
        reader.seek(5 * kSize);
        while (const auto record = reader.next()) {
            ++records;
            if (const auto created = decode_tablespace_create(*record))
                out.push_back(created->location);
        }
        EXPECT_NE(reader.stop().kind, WalStopKind::bad_record) << reader.stop().reason;
        EXPECT_NE(reader.stop().kind, WalStopKind::bad_checksum) << reader.stop().reason;
        EXPECT_NE(reader.stop().kind, WalStopKind::bad_page) << reader.stop().reason;
        return out;
    }
    WalBuilder builder{5};
    size_t changed = 0;
    int asked = 0;
    int records = 0;
};

TEST_F(ContainTablespaces, TakesThePathOut) {
    builder.add_of_size(1000);
    builder.add_tablespace(16400, kPath);
    builder.add_tablespace(16401, std::string(900, 'x'));
    builder.add_of_size(1000);
    EXPECT_EQ(locations_after(), (std::vector<std::string>{"", ""}));
    EXPECT_EQ(records, 4);
    const Bytes segment = contained(5);
    EXPECT_EQ(changed, 2U);
    EXPECT_EQ(as_text(segment).find(kPath), std::string_view::npos);
}

TEST_F(ContainTablespaces, LeavesOtherWalAlone) {
    builder.add_of_size(30000);
    builder.add_commit(700, 1);
    builder.add_tablespace(16400, "");  // in place already
    EXPECT_EQ(contained(5), builder.segment(5));
    EXPECT_EQ(changed, 0U);
    EXPECT_EQ(asked, 0);
}

TEST_F(ContainTablespaces, AcrossAPage) {
    builder.add_of_size(static_cast<uint32_t>(8192 - 40 - 64));
    builder.add_tablespace(16400, std::string(200, 'x'));
    builder.add_of_size(500);
    EXPECT_EQ(locations_after(), (std::vector<std::string>{""}));
}

// Whatever part of the record the first segment holds: its length alone, the header without the
// resource manager, all but the last bytes.
TEST_F(ContainTablespaces, AcrossSegments) {
    for (const uint64_t left : {8U, 16U, 24U, 32U, 64U, 128U, 200U}) {
        builder = WalBuilder(5);
        builder.fill_segment_but(left);
        builder.add_tablespace(16400, std::string(200, 'x'));
        builder.add_of_size(500);
        EXPECT_EQ(locations_after(), (std::vector<std::string>{""})) << left;
        EXPECT_NE(contained(6), builder.segment(6)) << left;
    }
}

TEST_F(ContainTablespaces, AnotherRecordAcrossSegmentsNeedsNoNeighbour) {
    builder.fill_segment_but(64);
    builder.add_of_size(3000);
    builder.add_tablespace(16400, kPath);
    contained(5);
    EXPECT_EQ(asked, 0);
    EXPECT_EQ(locations_after(), (std::vector<std::string>{""}));
}

TEST_F(ContainTablespaces, NoNeighbourNoHarm) {
    builder.fill_segment_but(64);
    builder.add_tablespace(16400, std::string(200, 'x'));
    for (const uint64_t number : {5U, 6U}) {
        Bytes segment = builder.segment(number);
        EXPECT_EQ(contain_tablespaces(segment, number, [](uint64_t) { return std::nullopt; }), 0U);
        EXPECT_EQ(segment, builder.segment(number));
    }
}

TEST_F(ContainTablespaces, BytesThatAreNoWalStayAsTheyAre) {
    Bytes segment(kSize, std::byte{0x5A});
    EXPECT_EQ(contain_tablespaces(segment, 5, [](uint64_t) { return std::nullopt; }), 0U);
    EXPECT_EQ(segment, Bytes(kSize, std::byte{0x5A}));
}

}  // namespace
}  // namespace ark
