#include "core/changes/stored_changes.hpp"

#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "test/support/expect_error.hpp"

namespace ark {
namespace {

using test::expect_error;

RangeChanges sample(Lsn from, Lsn to) {
    RangeChanges out;
    out.range = {1, from, to};
    out.system_identifier = 7;
    out.last_record = from + 8;
    out.table.add_block({1663, 5, 16384}, 3);
    return out;
}

TEST(StoredChanges, AreThereOnce) {
    const auto store = make_memory_store();
    const Writer writer = make_writer("");
    const RangeChanges changes = sample(0x1A000000, 0x11A000000);
    EXPECT_EQ(store_changes(*store, "c", changes, writer), StoreResult::stored);
    EXPECT_EQ(store_changes(*store, "c", changes, writer), StoreResult::present);
    EXPECT_TRUE(store->head("c/blocks/00000001/000000001A000000-000000011A000000.zst"));
    EXPECT_EQ(load_changes(*store, "c", changes.range), changes);
    EXPECT_EQ(load_changes(*store, "c", {1, 0x1A000000, 0x11B000000}), std::nullopt);
    RangeChanges other = changes;
    other.table.add_block({1663, 5, 16384}, 4);
    expect_error(ErrorCode::conflict, [&] { return store_changes(*store, "c", other, writer); });
}

TEST(StoredChanges, AreListedInTheirOrder) {
    const auto store = make_memory_store();
    const Writer writer = make_writer("");
    for (const Lsn from : {0x300, 0x100, 0x200})
        store_changes(*store, "c", sample(from, from + 0x100), writer);
    RangeChanges later = sample(0x100, 0x200);
    later.range.timeline = 2;
    store_changes(*store, "c", later, writer);
    for (const char* name :
         {"junk", "0000000000000200-0000000000000100.zst", "000000000000020A-000000000000030a.zst",
          "0000000000000200-0000000000000300.zst.tmp"})
        store->put_if_absent(std::string("c/blocks/00000001/") + name, {});
    EXPECT_EQ(list_changes(*store, "c", 1),
              (std::vector<ChangeRange>{{1, 0x100, 0x200}, {1, 0x200, 0x300}, {1, 0x300, 0x400}}));
    EXPECT_EQ(list_changes(*store, "c", 2), (std::vector<ChangeRange>{{2, 0x100, 0x200}}));
    EXPECT_TRUE(list_changes(*store, "c", 3).empty());
}

TEST(StoredChanges, DamageIsNoticed) {
    const auto store = make_memory_store();
    const RangeChanges changes = sample(0x100, 0x200);
    store_changes(*store, "c", changes, make_writer(""));
    const std::string name = "c/" + place::changes(1, 0x100, 0x200);
    Bytes bytes = store->get(name, 1 << 20).value();
    store->remove(name);
    bytes[bytes.size() - 9] ^= std::byte{1};
    store->put_if_absent(name, bytes);
    expect_error(ErrorCode::corrupt, [&] { return load_changes(*store, "c", changes.range); });
    // Whole, but under another's name.
    store->remove(name);
    store_object(*store, "c", ObjectKind::changes, place::changes(1, 0x100, 0x200),
                 encode_changes(sample(0x100, 0x300)), make_writer(""), 3);
    expect_error(ErrorCode::corrupt, [&] { return load_changes(*store, "c", changes.range); });
}

}  // namespace
}  // namespace ark
