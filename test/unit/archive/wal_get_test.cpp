#include "core/archive/wal_get.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include <gtest/gtest.h>

#include "core/base/clock.hpp"
#include "core/base/file.hpp"
#include "core/repo/vault.hpp"
#include "test/unit/archive/data_directory.hpp"
#include "test/unit/archive/fixture.hpp"

namespace ark {
namespace {

using test::ForkedWal;
using test::TestRepository;
using test::WalBuilder;
constexpr uint64_t kSize = WalBuilder::kSegmentSize;
constexpr uint64_t kSegmentsOfHighPart = (1ULL << 32) / kSize;

class WalGet : public ::testing::Test {
 protected:
    WalGet() { request.path = data.path() + "/pg_wal/RECOVERYXLOG"; }

    WalGetResult get(const std::string& name) {
        request.name = name;
        return wal_get(
            request, [this] { return repo.open(); },
            [this](const Error& error) {
                ++warnings;
                last_warning = error.message;
                if (on_warning)
                    on_warning();
            },
            [this](const Error& error) { damage.push_back(error.detail); });
    }
    std::optional<ErrorCode> error_of_get(const std::string& name) {
        return test::error_of([&] { get(name); });
    }
    Bytes written() const { return read_file(request.path, 1 << 30); }
    // Files in pg_wal beside archive_status.
    size_t files() const {
        const std::filesystem::directory_iterator all(data.path() + "/pg_wal");
        return static_cast<size_t>(
            std::ranges::count_if(all, [](const auto& entry) { return entry.is_regular_file(); }));
    }

    TestRepository repo;
    test::DataDirectory data;
    ForkedWal wal;
    WalGetRequest request{.name = "",
                          .path = "",
                          .cluster = test::kCluster,
                          .target_timeline = "",
                          .on_error = OnError::abort,
                          .timeout_s = 0,
                          .working_directory = "/nonexistent"};
    int warnings = 0;
    std::string last_warning;
    std::vector<std::string> damage;  ///< of last pieces
    std::function<void()> on_warning;
};

TEST_F(WalGet, WritesTheWholeFile) {
    repo.put_segment(WalBuilder::name(5), wal.parent.segment(5));
    EXPECT_EQ(get(WalBuilder::name(5)), WalGetResult::written);
    EXPECT_EQ(written(), wal.parent.segment(5));
    EXPECT_EQ(files(), 1U);
    repo.put_history(2, wal.history);
    EXPECT_EQ(get("00000002.history"), WalGetResult::written);
    EXPECT_EQ(as_text(written()), wal.history);
    EXPECT_EQ(files(), 1U);
}

TEST_F(WalGet, SaysThatAFileIsNotThere) {
    repo.put_segment(WalBuilder::name(5), wal.parent.segment(5));
    for (const std::string& name :
         {WalBuilder::name(9), std::string("00000002.history"), WalBuilder::name(9) + ".partial",
          WalBuilder::name(5) + ".00000028.backup"}) {
        EXPECT_EQ(get(name), WalGetResult::not_there) << name;
    }
    EXPECT_EQ(files(), 0U);
    EXPECT_EQ(warnings, 0);
}

// An early "not there" ends recovery early: nothing but the store's own word may lead to one.
TEST_F(WalGet, AFailureIsNeverNotThere) {
    repo.hooks->broken = true;
    EXPECT_EQ(error_of_get(WalBuilder::name(5)), ErrorCode::unavailable);
    EXPECT_EQ(error_of_get("00000002.history"), ErrorCode::unavailable);
    EXPECT_EQ(files(), 0U);
}

TEST_F(WalGet, APlaceWithoutTheClusterIsNotAnAnswer) {
    EXPECT_EQ(error_of_get(WalBuilder::name(5)), ErrorCode::not_found);  // an empty repository
    request.cluster = "other";
    repo.put_segment(WalBuilder::name(5), wal.parent.segment(5));
    EXPECT_EQ(error_of_get(WalBuilder::name(5)), ErrorCode::not_found);
    repo.base->remove("ark.json");  // a file system that is not mounted
    request.cluster = test::kCluster;
    EXPECT_EQ(error_of_get(WalBuilder::name(9)), ErrorCode::not_found);
}

TEST_F(WalGet, TriesAgainWithinItsBudget) {
    repo.put_segment(WalBuilder::name(5), wal.parent.segment(5));
    repo.hooks->broken = true;
    on_warning = [this] { repo.hooks->broken = false; };
    request.timeout_s = 60;
    EXPECT_EQ(get(WalBuilder::name(5)), WalGetResult::written);
    EXPECT_EQ(warnings, 1);
    EXPECT_EQ(last_warning, "the store is away");
}

TEST_F(WalGet, KeepsToItsBudget) {
    repo.hooks->broken = true;
    request.timeout_s = 1;
    const int64_t begin = monotonic_nanos();
    EXPECT_EQ(error_of_get(WalBuilder::name(5)), ErrorCode::unavailable);
    const int64_t took = monotonic_nanos() - begin;
    EXPECT_GE(took, 1000000000);
    EXPECT_LT(took, 5000000000);
    EXPECT_EQ(warnings, 1);  // not one for each try
}

TEST_F(WalGet, WaitOutlivesTheBudget) {
    repo.put_segment(WalBuilder::name(5), wal.parent.segment(5));
    request.on_error = OnError::wait;
    int calls = 0;
    repo.hooks->before_get = [&](const std::string&) {
        if (++calls <= 3)
            throw Error(ErrorCode::permission_denied, "no");
    };
    EXPECT_EQ(get(WalBuilder::name(5)), WalGetResult::written);
}

TEST_F(WalGet, NotFoundAnswersForSegmentsButNotForHistories) {
    repo.hooks->broken = true;
    request.on_error = OnError::not_found;
    EXPECT_EQ(get(WalBuilder::name(5)), WalGetResult::not_there);
    // Neither taken for free, nor the end of a standby.
    on_warning = [this] { repo.hooks->broken = false; };
    repo.put_history(2, wal.history);
    EXPECT_EQ(get("00000002.history"), WalGetResult::written);
}

TEST_F(WalGet, DamageIsNeverGivenOutNorCalledNotThere) {
    repo.put_segment(WalBuilder::name(5), wal.parent.segment(5));
    repo.damage(place::segment(WalBuilder::name(5)));
    request.timeout_s = 60;
    for (const OnError on_error : {OnError::abort, OnError::wait, OnError::not_found}) {
        request.on_error = on_error;
        EXPECT_EQ(error_of_get(WalBuilder::name(5)), ErrorCode::corrupt);
        EXPECT_EQ(files(), 0U);
    }
}

TEST_F(WalGet, ADamagedTransferIsTriedAgain) {
    repo.put_segment(WalBuilder::name(5), wal.parent.segment(5));
    request.timeout_s = 60;
    int calls = 0;
    repo.hooks->before_get = [&](const std::string& name) {
        if (name != "ark.json" && ++calls == 1)
            throw Error(ErrorCode::corrupt, "damaged");
    };
    EXPECT_EQ(get(WalBuilder::name(5)), WalGetResult::written);
}

TEST_F(WalGet, RefusesWrongUseAtOnce) {
    request.on_error = OnError::wait;
    EXPECT_EQ(error_of_get("pg_control"), ErrorCode::invalid_argument);
    EXPECT_EQ(error_of_get(""), ErrorCode::invalid_argument);
    EXPECT_EQ(error_of_get("../" + WalBuilder::name(5)), ErrorCode::invalid_argument);
    request.target_timeline = "two";
    EXPECT_EQ(error_of_get(WalBuilder::name(5)), ErrorCode::invalid_argument);
    request.target_timeline = "0";
    EXPECT_EQ(error_of_get(WalBuilder::name(5)), ErrorCode::invalid_argument);
}

TEST_F(WalGet, FollowsTheTargetTimeline) {
    repo.put_segment(WalBuilder::name(6), wal.parent.segment(6));
    repo.put_segment(WalBuilder::name(7), wal.parent.segment(7));
    repo.put_history(2, wal.history);
    for (const char* target : {"2", "latest"}) {
        request.target_timeline = target;
        EXPECT_EQ(get(WalBuilder::name(6)), WalGetResult::written);
        EXPECT_EQ(written(), wal.partial());
        EXPECT_EQ(get(WalBuilder::name(7)), WalGetResult::not_there);
    }
    request.target_timeline = "1";
    EXPECT_EQ(get(WalBuilder::name(6)), WalGetResult::written);
    EXPECT_EQ(written(), wal.parent.segment(6));
    // Without the target's history nobody knows how far the parent may be given out.
    request.target_timeline = "3";
    EXPECT_EQ(error_of_get(WalBuilder::name(6)), ErrorCode::not_found);
    // Its own segments need none (a timeline that pg_resetwal made has no history).
    repo.put_segment(WalBuilder::name(7, 3), [] {
        WalBuilder builder(7, 3);
        builder.fill_segment();
        return builder.segment(7);
    }());
    EXPECT_EQ(get(WalBuilder::name(7, 3)), WalGetResult::written);
}

// Another server may have left the standby's timeline at a place that the standby had passed by:
// its server stays where it is then, and so must we.
TEST_F(WalGet, LatestIsNoTimelineThatTheServerCannotFollow) {
    repo.put_segment(WalBuilder::name(6), wal.parent.segment(6));
    repo.put_segment(WalBuilder::name(7), wal.parent.segment(7));
    repo.put_history(2, wal.history);
    request.working_directory = data.path();
    request.target_timeline = "latest";
    data.write_control(5 * kSize, wal.fork, 1);
    EXPECT_EQ(get(WalBuilder::name(7)), WalGetResult::not_there);
    EXPECT_EQ(get(WalBuilder::name(6)), WalGetResult::written);
    EXPECT_EQ(written(), wal.partial());
    data.write_control(5 * kSize, wal.fork + 8, 2);
    EXPECT_EQ(get(WalBuilder::name(7)), WalGetResult::not_there);
    data.write_control(5 * kSize, wal.fork + 8, 1);
    EXPECT_EQ(get(WalBuilder::name(7)), WalGetResult::written);
    EXPECT_EQ(written(), wal.parent.segment(7));
    EXPECT_EQ(get(WalBuilder::name(6)), WalGetResult::written);
    EXPECT_EQ(written(), wal.parent.segment(6));
    // Who names a target means it.
    request.target_timeline = "2";
    EXPECT_EQ(get(WalBuilder::name(7)), WalGetResult::not_there);
}

TEST_F(WalGet, TheNewestSegmentHasASegmentsSize) {
    const std::string name = WalBuilder::name(5);
    repo.put_piece(name, wal.parent.segment(5), 0, 30000);
    EXPECT_EQ(get(name), WalGetResult::written);
    EXPECT_EQ(written(), test::cut_at(wal.parent.segment(5), 30000));
    repo.put_piece(name, wal.parent.segment(5), 30000, 50001);
    EXPECT_EQ(get(name), WalGetResult::written);
    EXPECT_EQ(written(), test::cut_at(wal.parent.segment(5), 50001));
    EXPECT_EQ(get(WalBuilder::name(6)), WalGetResult::not_there);
    EXPECT_TRUE(damage.empty());
}

// The server puts what it gets over its own file: a dead server's last WAL would be lost.
TEST_F(WalGet, LeavesTheServerItsOwnFileWhereThatHasMore) {
    const std::string name = WalBuilder::name(6);
    const Bytes six = wal.parent.segment(6);
    const uint64_t fork = wal.fork % kSize;
    request.working_directory = data.path();
    repo.put_piece(name, six, 0, 30000);
    data.add_wal(name, test::cut_at(six, 20000));
    EXPECT_EQ(get(name), WalGetResult::written);
    data.add_wal(name, test::cut_at(six, 500000));
    EXPECT_EQ(get(name), WalGetResult::not_there);
    // On the way to a timeline that left this one the file has too much.
    repo.put_history(2, wal.history);
    request.target_timeline = "2";
    EXPECT_EQ(get(name), WalGetResult::written);
    request.target_timeline.clear();
    // Another server's WAL is none of it.
    Bytes other = test::cut_at(six, 500000);
    other[25000] ^= std::byte{1};
    data.add_wal(name, other);
    EXPECT_EQ(get(name), WalGetResult::written);
    EXPECT_EQ(written(), test::cut_at(six, 30000));
    // What the archive has as a whole it gives.
    data.add_wal(name, test::cut_at(six, 500000));
    repo.put_segment(name, test::cut_at(six, fork));
    EXPECT_EQ(get(name), WalGetResult::written);
}

TEST_F(WalGet, TellsThatWalEndsBeforeATornPiece) {
    const std::string name = WalBuilder::name(5);
    repo.put_piece(name, wal.parent.segment(5), 0, 30000);
    repo.damage(repo.put_piece(name, wal.parent.segment(5), 30000, 50000));
    EXPECT_EQ(get(name), WalGetResult::written);
    EXPECT_EQ(written(), test::cut_at(wal.parent.segment(5), 30000));
    ASSERT_EQ(damage.size(), 1U);
    EXPECT_NE(damage[0].find(place::tail(name, 30000)), std::string::npos) << damage[0];
    EXPECT_EQ(warnings, 0);
}

// Later segments may be durable first: a standby must not be shut down, a recovery not end by it.
TEST_F(WalGet, WaitsForASegmentThatLaterWalIsThereOf) {
    repo.put_piece(WalBuilder::name(5), wal.parent.segment(5), 0, 30000);
    repo.put_segment(WalBuilder::name(6), wal.parent.segment(6));
    EXPECT_EQ(error_of_get(WalBuilder::name(5)), ErrorCode::corrupt);
    int calls = 0;
    repo.hooks->before_get = [&](const std::string& name) {
        // Every try asks for it twice; a damaged object is given up before.
        if (name.ends_with(WalBuilder::name(5) + ".zst") && ++calls == 12)
            repo.put_segment(WalBuilder::name(5), wal.parent.segment(5));
    };
    request.on_error = OnError::wait;
    EXPECT_EQ(get(WalBuilder::name(5)), WalGetResult::written);
    EXPECT_EQ(written(), wal.parent.segment(5));
}

// Nothing is there of segment 6, but of the one behind it: a server that is told "not there" would
// end its recovery, without what comes later.
class WalGetHole : public WalGet {
 protected:
    WalGetHole() {
        request.working_directory = data.path();
        repo.put_segment(WalBuilder::name(5), wal.parent.segment(5));
        repo.put_segment(WalBuilder::name(7), wal.parent.segment(7));
    }
    const std::string missing = WalBuilder::name(6);
};

TEST_F(WalGetHole, IsNotTheEnd) {
    EXPECT_EQ(error_of_get(missing), ErrorCode::corrupt);
    // Nothing is behind these.
    EXPECT_EQ(get(WalBuilder::name(8)), WalGetResult::not_there);
    EXPECT_EQ(get(WalBuilder::name(5, 2)), WalGetResult::not_there);
    EXPECT_EQ(get("00000002.history"), WalGetResult::not_there);
}

TEST_F(WalGetHole, CanBeManySegmentsWide) {
    EXPECT_EQ(get(WalBuilder::name(8)), WalGetResult::not_there);
    repo.put_segment(WalBuilder::name(8 + 2 * kSegmentsOfHighPart), as_bytes("x"));
    EXPECT_EQ(error_of_get(WalBuilder::name(8)), ErrorCode::corrupt);
}

TEST_F(WalGetHole, PiecesAreLaterWalToo) {
    repo.put_piece(WalBuilder::name(9), wal.parent.segment(7), 0, 30000);
    EXPECT_EQ(error_of_get(WalBuilder::name(8)), ErrorCode::corrupt);
}

// A running server stores several segments at a time.
TEST_F(WalGetHole, MayClose) {
    int calls = 0;
    repo.hooks->before_get = [&](const std::string& name) {
        if (name.ends_with("/" + missing + ".zst") && ++calls == 9)
            repo.put_segment(missing, wal.parent.segment(6));
    };
    request.timeout_s = 60;
    EXPECT_EQ(get(missing), WalGetResult::written);
    EXPECT_EQ(written(), wal.parent.segment(6));
    EXPECT_EQ(warnings, 1);
    EXPECT_NE(last_warning.find(missing), std::string::npos) << last_warning;
}

// A standby is not shut down by it: it asks again, or streams.
TEST_F(WalGetHole, IsNoMatterToAStandbyThatLooksElsewhere) {
    request.timeout_s = 60;
    request.on_error = OnError::not_found;
    EXPECT_EQ(get(missing), WalGetResult::not_there);
    request.on_error = OnError::abort;
    test::write_text(data.path() + "/standby.signal", "");
    EXPECT_EQ(get(missing), WalGetResult::not_there);
    EXPECT_EQ(warnings, 0);
}

TEST_F(WalGetHole, HoldsUpAStandbyThatLivesFromTheArchive) {
    test::write_text(data.path() + "/standby.signal", "");
    request.on_error = OnError::wait;
    on_warning = [this] { repo.put_segment(missing, wal.parent.segment(6)); };
    EXPECT_EQ(get(missing), WalGetResult::written);
    EXPECT_EQ(warnings, 1);
}

TEST_F(WalGetHole, IsClosedByTheServersOwnFile) {
    data.add_wal(missing, wal.parent.segment(6));
    EXPECT_EQ(get(missing), WalGetResult::not_there);
    data.add_wal(missing, test::cut_at(wal.parent.segment(6), 500000));
    EXPECT_EQ(error_of_get(missing), ErrorCode::corrupt);
    data.add_wal(missing, wal.parent.segment(5));  // recycled
    EXPECT_EQ(error_of_get(missing), ErrorCode::corrupt);
}

// The server asks for the same place on the timelines that it has left, too: what is there of those
// does not matter.
TEST_F(WalGetHole, BehindTheForkIsNone) {
    repo.put_history(2, wal.history);
    for (const char* target : {"2", "latest"}) {
        request.target_timeline = target;
        EXPECT_EQ(get(missing), WalGetResult::not_there) << target;
    }
    request.target_timeline = "1";
    EXPECT_EQ(error_of_get(missing), ErrorCode::corrupt);
    // Nobody told, but the server has the history of the timeline that it follows.
    request.target_timeline.clear();
    EXPECT_EQ(error_of_get(missing), ErrorCode::corrupt);
    test::write_text(data.wal("00000002.history"), wal.history);
    EXPECT_EQ(get(missing), WalGetResult::not_there);
}

TEST_F(WalGetHole, BeforeTheForkIsOne) {
    const std::string gone = WalBuilder::name(5);
    repo.store().remove(test::kCluster + "/" + place::segment(gone));
    repo.store().remove(test::kCluster + "/" + place::segment(WalBuilder::name(7)));
    repo.put_history(2, wal.history);
    request.target_timeline = "2";
    EXPECT_EQ(get(gone), WalGetResult::not_there);
    repo.put_segment(WalBuilder::name(7, 2), wal.child.segment(7));
    EXPECT_EQ(error_of_get(gone), ErrorCode::corrupt);
    // Where the new timeline is all that is asked for, its ancestors' segments are none of it.
    EXPECT_EQ(error_of_get(WalBuilder::name(6, 2)), ErrorCode::corrupt);
    EXPECT_EQ(get(WalBuilder::name(5, 2)), WalGetResult::not_there);
}

// A standby reads the same pieces again and again; the whole segment comes in their place.
TEST_F(WalGet, WaitsForASegmentWhosePiecesAreDamaged) {
    const std::string name = WalBuilder::name(5);
    repo.put_piece(name, wal.parent.segment(5), 0, 10000);
    repo.damage(repo.put_piece(name, wal.parent.segment(5), 10000, 20000));
    repo.put_piece(name, wal.parent.segment(5), 20000, 30000);
    EXPECT_EQ(error_of_get(name), ErrorCode::corrupt);
    int calls = 0;
    repo.hooks->before_get = [&](const std::string& object) {
        if (object.ends_with("/" + name + ".zst") && ++calls == 6)
            repo.put_segment(name, wal.parent.segment(5));
    };
    request.on_error = OnError::wait;
    EXPECT_EQ(get(name), WalGetResult::written);
    EXPECT_EQ(written(), wal.parent.segment(5));
}

TEST_F(WalGet, FindsItsClusterByTheControlFile) {
    repo.put_segment(WalBuilder::name(5), wal.parent.segment(5));
    repo.base->put_if_absent("other/wal/x", as_bytes("x"));
    request.cluster.clear();
    request.working_directory = data.path();
    EXPECT_EQ(get(WalBuilder::name(5)), WalGetResult::written);
    request.working_directory = "/nonexistent";
    EXPECT_EQ(error_of_get(WalBuilder::name(5)), ErrorCode::invalid_argument);  // two clusters
}

TEST_F(WalGet, RefusesWalOfAnotherClusterThanTheDataDirectorys) {
    WalBuilder other(5);
    other.system_identifier = 42;
    other.fill_segment();
    repo.put_segment(WalBuilder::name(5), other.segment(5));
    request.working_directory = data.path();
    EXPECT_EQ(error_of_get(WalBuilder::name(5)), ErrorCode::corrupt);
}

TEST_F(WalGet, RefusesToRecreateATablespaceThatIsInUse) {
    const std::string location = data.outside("ts");
    WalBuilder builder(5);
    builder.add_tablespace(16400, location);
    builder.fill_segment();
    repo.put_segment(WalBuilder::name(5), builder.segment(5));
    request.working_directory = data.path();
    EXPECT_EQ(get(WalBuilder::name(5)), WalGetResult::written);
    std::filesystem::remove(request.path);
    std::filesystem::create_directories(location + "/PG_15_202209061/5");
    request.on_error = OnError::wait;
    EXPECT_EQ(error_of_get(WalBuilder::name(5)), ErrorCode::refused);
    EXPECT_EQ(files(), 0U);
    request.working_directory = "/nonexistent";  // called by hand: nothing is replayed
    EXPECT_EQ(get(WalBuilder::name(5)), WalGetResult::written);
}

// The rest of the record is in the archive's end, of which the server has more itself.
TEST_F(WalGet, RefusesATablespaceWhoseRecordGoesOnInTheNewestSegment) {
    const std::string location = data.outside("ts");
    std::filesystem::create_directories(location + "/PG_15_202209061/5");
    WalBuilder builder(5);
    while (builder.position() < 6 * kSize - 8192)
        builder.add_of_size(1000);
    builder.add_of_size(static_cast<uint32_t>(6 * kSize - builder.position() - 40));
    builder.add_tablespace(16400, location);
    builder.fill_segment();
    repo.put_segment(WalBuilder::name(5), builder.segment(5));
    repo.put_piece(WalBuilder::name(6), builder.segment(6), 0, 30000);
    data.add_wal(WalBuilder::name(6), builder.segment(6));
    request.working_directory = data.path();
    EXPECT_EQ(error_of_get(WalBuilder::name(5)), ErrorCode::refused);
    EXPECT_EQ(get(WalBuilder::name(6)), WalGetResult::not_there);
}

TEST_F(WalGet, RemovesWhatAKilledOneLeftBehind) {
    repo.put_segment(WalBuilder::name(5), wal.parent.segment(5));
    const pid_t child = fork();
    if (child == 0)
        _exit(0);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);  // a pid that is free now
    test::write_text(request.path + ".pg_ark." + std::to_string(child), "half");
    test::write_text(request.path + ".pg_ark." + std::to_string(getppid()), "at work");
    test::write_text(request.path + ".pg_ark.x", "another thing");
    EXPECT_EQ(get(WalBuilder::name(5)), WalGetResult::written);
    EXPECT_EQ(files(), 3U);
}

TEST_F(WalGet, AFileThatCannotBeWrittenIsAFailure) {
    repo.put_segment(WalBuilder::name(5), wal.parent.segment(5));
    request.path = data.path() + "/nowhere/RECOVERYXLOG";
    EXPECT_EQ(error_of_get(WalBuilder::name(5)), ErrorCode::not_found);
    request.path = data.path() + "/global";  // a directory: the rename fails
    EXPECT_TRUE(error_of_get(WalBuilder::name(5)));
    EXPECT_FALSE(std::filesystem::exists(request.path + ".pg_ark." + std::to_string(getpid())));
}

// What can't be read for want of its key is never "not there", and no waiting gives the key.
TEST_F(WalGet, WhatHasAnotherKeyIsNotNotThere) {
    const auto keyring = std::make_shared<const OpenKeyring>(
        OpenKeyring::make(test::kCluster, {KeySecret::Type::key, random_secret(32)}));
    repo.repository->use_vault(test::kCluster, std::make_shared<const Vault>(keyring));
    store_object(repo.store(), test::kCluster, ObjectKind::wal, place::segment(WalBuilder::name(5)),
                 wal.parent.segment(5), {}, 1);
    store_small(repo.store(), test::kCluster, ObjectKind::history, place::history(2),
                as_bytes(wal.history), {});
    request.timeout_s = 3600;
    const Error wrong(ErrorCode::invalid_key, "the key does not open any slot");
    int opened = 0;
    // Rather than to wait for an hour, where it is tried again.
    on_warning = [] { throw Error(ErrorCode::internal, "this is no time to try again"); };
    for (const OnError on_error : {OnError::abort, OnError::wait, OnError::not_found}) {
        request.on_error = on_error;
        for (const std::string& name : {WalBuilder::name(5), std::string("00000002.history")}) {
            EXPECT_EQ(error_of_get(name), ErrorCode::invalid_key);  // no key
            request.name = name;
            opened = 0;
            EXPECT_EQ(test::error_of([&] {
                          wal_get(
                              request,
                              [&]() -> std::unique_ptr<Repository> {
                                  ++opened;
                                  throw Error(wrong);
                              },
                              [&](const Error& /*warning*/) { on_warning(); });
                      }),
                      ErrorCode::invalid_key);
            EXPECT_EQ(opened, 1);
        }
    }
    EXPECT_EQ(warnings, 0);
    EXPECT_EQ(files(), 0U);
    // A command that could not give the key may be able to in a moment.
    Error away = wrong;
    away.retryable = true;
    opened = 0;
    EXPECT_EQ(wal_get(
                  request,
                  [&] {
                      if (++opened < 3)
                          throw Error(away);
                      auto repository = repo.open();
                      repository->use_vault(test::kCluster, std::make_shared<const Vault>(keyring));
                      return repository;
                  },
                  [](const Error& /*warning*/) {}),
              WalGetResult::written);
    EXPECT_EQ(opened, 3);
}

}  // namespace
}  // namespace ark
