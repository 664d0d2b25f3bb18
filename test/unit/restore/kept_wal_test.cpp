#include "core/restore/kept_wal.hpp"

#include <filesystem>
#include <fstream>
#include <map>

#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "core/store/object_store.hpp"
#include "test/support/temporary_directory.hpp"

namespace ark {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kSegment = 1 << 20;
constexpr size_t kPageAddress = 8;

// An archive of which only pieces matter here.
class PiecesAlone final : public ArchivedWal {
 public:
    TimelineHistory history_of(TimelineId timeline) override { return TimelineHistory(timeline); }
    TimelineId newest_timeline(TimelineId start) override { return start; }
    std::unique_ptr<WalOnWay> along(const TimelineHistory& /*way*/, uint64_t /*segment_size*/,
                                    uint64_t /*last_segment*/) override {
        return nullptr;
    }
    Bytes pieces_of(const std::string& segment) override { return pieces[segment]; }

    std::map<std::string, Bytes> pieces;
};

class KeptWalTest : public testing::Test {
 protected:
    KeptWalTest() { fs::create_directories(data + "/pg_wal/archive_status"); }

    // A segment whose first page says that it is number `page_of`.
    static std::string segment(uint64_t page_of, char fill) {
        std::string text(kSegment, fill);
        store(MutableByteView(reinterpret_cast<std::byte*>(text.data()), text.size()), kPageAddress,
              page_of * kSegment);
        return text;
    }
    void put_local(const std::string& name, const std::string& content) {
        std::ofstream(data + "/pg_wal/" + name) << content;
    }
    void put_stored(const std::string& name, const std::string& content) {
        store_object(repository->store(), "c", ObjectKind::wal, place::segment(name),
                     as_bytes(content), {}, 1);
    }
    std::vector<std::string> missing() {
        return wal_not_in_repository(*repository, wal, "c", data, kSegment);
    }

    test::TemporaryDirectory directory;
    std::string data = directory / "data";
    std::unique_ptr<Repository> repository =
        Repository::open(make_memory_store(), OpenMode::create);
    PiecesAlone wal;
};

const std::string kFive = "000000010000000000000005";
const std::string kSix = "000000010000000000000006";
const std::string kNine = "000000010000000000000009";

TEST_F(KeptWalTest, WhatTheRepositoryHasNeedNotBeKept) {
    put_local(kFive, segment(5, 'a'));
    put_stored(kFive, segment(5, 'a'));
    put_local(kSix, segment(6, 'b'));
    EXPECT_EQ(missing(), std::vector<std::string>{kSix});
}

TEST_F(KeptWalTest, OtherContentUnderTheNameIsKept) {
    put_local(kFive, segment(5, 'a'));
    put_stored(kFive, segment(5, 'z'));
    EXPECT_EQ(missing(), std::vector<std::string>{kFive});
}

TEST_F(KeptWalTest, RecycledSegmentsHoldNothingOfTheirOwn) {
    put_local(kNine, segment(2, 'a'));
    put_local("000000010000000000000008", "");
    EXPECT_TRUE(missing().empty());
}

TEST_F(KeptWalTest, HistoriesAndPartials) {
    put_local("00000002.history", "1\t0/1\tx\n");
    put_local("00000003.history", "1\t0/1\tx\n");
    repository->store().put_if_absent("c/" + place::history(3), as_bytes("1\t0/1\tx\n"));
    put_local(kFive + ".partial", segment(5, 'a'));
    put_local(kFive + ".00000028.backup", "START");
    put_local("xlogtemp.12", "x");
    EXPECT_EQ(missing(), (std::vector<std::string>{kFive + ".partial", "00000002.history"}));
}

TEST_F(KeptWalTest, LinkedPgWalStays) {
    fs::rename(data + "/pg_wal", directory / "wal");
    fs::create_directory_symlink(directory / "wal", data + "/pg_wal");
    std::ofstream(directory / "wal/" + kFive) << segment(5, 'a');
    EXPECT_TRUE(missing().empty());
    EXPECT_EQ(wal_link_of(data), directory / "wal");
}

TEST_F(KeptWalTest, MovedAside) {
    put_local(kFive, segment(5, 'a'));
    EXPECT_EQ(wal_link_of(data), "");
    const std::string target = make_kept_wal_directory(data);
    EXPECT_TRUE(target.starts_with(data + ".kept-wal-20")) << target;
    move_wal(data, {kFive}, target);
    EXPECT_FALSE(fs::exists(data + "/pg_wal/" + kFive));
    EXPECT_EQ(fs::file_size(target + "/" + kFive), kSegment);
}

TEST_F(KeptWalTest, NoDataDirectory) {
    EXPECT_TRUE(wal_not_in_repository(*repository, wal, "c", directory / "no", kSegment).empty());
    EXPECT_EQ(wal_link_of(directory / "no"), "");
}

}  // namespace
}  // namespace ark
