#include "core/changes/local_changes.hpp"

#include <sys/stat.h>

#include <filesystem>

#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "test/support/expect_error.hpp"
#include "test/support/temporary_directory.hpp"

namespace ark {
namespace {

using test::expect_error;
using Ranges = std::vector<ChangeRange>;

RangeChanges sample(TimelineId timeline, Lsn from, Lsn to) {
    RangeChanges out;
    out.range = {timeline, from, to};
    out.system_identifier = 7;
    out.last_record = from + 8;
    out.table.add_block({1663, 5, 16384}, 3);
    return out;
}

class LocalTables : public ::testing::Test {
 protected:
    LocalTables() { ::mkdir((directory.path() + "/pg_wal").c_str(), 0700); }
    std::string path(const std::string& name) const {
        return directory.path() + "/pg_wal/pg_ark.changes/" + name;
    }

    test::TemporaryDirectory directory;
    LocalChanges local{directory.path()};
};

TEST_F(LocalTables, AreWhatWasStored) {
    EXPECT_TRUE(local.list().empty());
    EXPECT_EQ(local.load({1, 0x100, 0x200}), std::nullopt);
    const RangeChanges changes = sample(1, 0x1A000000, 0x11A000000);
    local.store(changes);
    local.store(changes);
    local.store(sample(2, 0x100, 0x300));
    local.store(sample(1, 0x100, 0x200));
    EXPECT_TRUE(std::filesystem::exists(path("00000001-000000001A000000-000000011A000000")));
    for (const char* name : {"junk", "00000001-0000000000000100-000000000000020a"})
        write_file_durably(path(name), {}, 0600);
    EXPECT_EQ(LocalChanges(directory.path()).load(changes.range), changes);
    EXPECT_EQ(local.list(),
              (Ranges{{1, 0x100, 0x200}, {1, 0x1A000000, 0x11A000000}, {2, 0x100, 0x300}}));
}

TEST_F(LocalTables, DamageIsNoticed) {
    const RangeChanges changes = sample(1, 0x100, 0x200);
    local.store(changes);
    const std::string name = path("00000001-0000000000000100-0000000000000200");
    Bytes bytes = read_file(name, 1 << 20);
    for (size_t i = 0; i < bytes.size(); ++i) {
        Bytes changed = bytes;
        changed[i] ^= std::byte{0x10};
        write_file_durably(name, changed, 0600);
        expect_error(ErrorCode::corrupt, [&] { return local.load(changes.range); });
        changed = bytes;
        changed.resize(i);
        write_file_durably(name, changed, 0600);
        expect_error(ErrorCode::corrupt, [&] { return local.load(changes.range); });
    }
    // Whole, but under another's name.
    write_file_durably(path("00000001-0000000000000100-0000000000000300"), bytes, 0600);
    expect_error(ErrorCode::corrupt, [&] { return local.load({1, 0x100, 0x300}); });
}

TEST_F(LocalTables, WhatNobodyWantsGoes) {
    for (const Lsn from : {0x100, 0x200, 0x300, 0x400})
        local.store(sample(1, from, from + 0x100));
    write_file_durably(path("00000001-0000000000000500-0000000000000600.tmp"), {}, 0600);
    const PrunedChanges old = local.prune(0x200, 1 << 20);
    EXPECT_EQ(old.files, 1U);
    EXPECT_EQ(old.wanted_files, 0U);
    EXPECT_EQ(local.list(), (Ranges{{1, 0x200, 0x300}, {1, 0x300, 0x400}, {1, 0x400, 0x500}}));
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(path("")), {}), 3);
    const uint64_t size =
        std::filesystem::file_size(path("00000001-0000000000000200-0000000000000300"));
    // The newest stay.
    const PrunedChanges full = local.prune(0x200, 2 * size);
    EXPECT_EQ(full.files, 1U);
    EXPECT_EQ(full.wanted_files, 1U);
    EXPECT_EQ(full.wanted_up_to, 0x300U);
    EXPECT_EQ(local.list(), (Ranges{{1, 0x300, 0x400}, {1, 0x400, 0x500}}));
}

}  // namespace
}  // namespace ark
