#include "core/backup/cleanup.hpp"

#include <sys/stat.h>

#include <chrono>
#include <filesystem>

#include "core/repo/object.hpp"
#include "core/store/local.hpp"
#include "test/support/expect_error.hpp"
#include "test/support/fake_cluster.hpp"
#include "test/support/store_decorator.hpp"

namespace ark {
namespace {

constexpr const char* kId = "manual_1";

// On a local store, whose files can be made old.
class Cleanup : public testing::Test {
 protected:
    Cleanup()
        : store(make_local_store(directory / "repo", {.unnamed_temporaries = false})),
          repository(Repository::open(std::make_unique<test::StoreDecorator>(
                                          store,
                                          [this](const std::string& call, const std::string& name) {
                                              if (on_store)
                                                  on_store(call, name);
                                          }),
                                      OpenMode::create)) {
        leave(make_writer(cluster.path()));
    }

    // What a killed backup leaves: everything but the marker.
    void leave(const Writer& writer) {
        for (const std::string& place :
             {place::pack(kId, 0), place::pack(kId, 1), place::index(kId)})
            put(place, writer);
    }
    void put(const std::string& place, const Writer& writer) {
        store->remove("main/" + place);
        store->put_if_absent("main/" + place,
                             encode_header({ObjectKind::pack, place, "none", {}, {}, writer}));
    }
    void make_older(const std::string& name, int hours) {
        std::filesystem::last_write_time(
            directory / "repo/" + name,
            std::filesystem::file_time_type::clock::now() - std::chrono::hours(hours));
    }
    void make_all_older(int hours) {
        for (const std::string& name : objects())
            make_older(name, hours);
    }
    std::vector<std::string> objects() {
        std::vector<std::string> names;
        store->list("main/" + place::backup(kId), [&](const ObjectInfo& object) {
            names.push_back(object.name);
            return true;
        });
        return names;
    }
    std::string marker_name() const { return "main/" + place::marker(kId); }
    CleanupResult clean(const std::string& data_directory) {
        return remove_unfinished_backup(*repository, "main", kId, data_directory);
    }
    std::string temporary(const std::string& below) {
        test::write_file(directory / "repo/" + below + "/~77-1-1", "half");
        return below + "/~77-1-1";
    }
    bool is_there(const std::string& name) {
        return std::filesystem::exists(directory / "repo/" + name);
    }

    test::TemporaryDirectory directory;
    test::FakeCluster cluster;
    test::StoreDecorator::Hook on_store;
    std::shared_ptr<ObjectStore> store;
    std::unique_ptr<Repository> repository;
};

TEST_F(Cleanup, RemovesWhatThisDataDirectoryWrote) {
    store->put_if_absent("main/backup/manual_10/x", as_bytes("x"));
    const CleanupResult result = clean(cluster.path());
    EXPECT_EQ(result.objects, 3U);
    EXPECT_EQ(result.kept, "");
    EXPECT_TRUE(objects().empty());
    EXPECT_TRUE(store->head("main/backup/manual_10/x")) << "a neighbour whose name begins alike";
    EXPECT_EQ(clean(cluster.path()).objects, 0U);
    EXPECT_FALSE(store->head("ark-probe"));
}

// Each start of a container may have another host name; the directory is the same one.
TEST_F(Cleanup, AnotherHostNameIsNoOtherServer) {
    Writer writer = make_writer(cluster.path());
    writer.host = "3f9a0c2b77d1";
    writer.data_directory = "/mounted/elsewhere";
    leave(writer);
    EXPECT_EQ(clean(cluster.path()).objects, 3U);
}

// A copy of the data directory on another machine of the same name may have begun as this one's
// snapshot: the living original's backup is not this one's to remove.
TEST_F(Cleanup, TheSameHostNameAndPathIsNotTheSameServer) {
    for (const char* field : {"kernel", "directory"}) {
        Writer writer = make_writer(cluster.path());
        (field == std::string("kernel") ? writer.boot_id : writer.directory_id) = "another";
        leave(writer);
        const CleanupResult result = clean(cluster.path());
        EXPECT_EQ(result.objects, 0U) << field;
        EXPECT_TRUE(test::mentions(result.kept, cluster.path())) << result.kept;
        EXPECT_EQ(objects().size(), 3U);
    }
}

TEST_F(Cleanup, WhatIsNotKnownIsNotTheSame) {
    Writer writer = make_writer(cluster.path());
    writer.directory_id.clear();
    leave(writer);
    EXPECT_EQ(clean(cluster.path()).objects, 0U);
    EXPECT_EQ(clean("/not/there").objects, 0U) << "unknown on both sides";
}

TEST_F(Cleanup, NeverTouchesABackupWithItsMarker) {
    store->put_if_absent(marker_name(), as_bytes("{"));
    make_all_older(1000);
    const CleanupResult result = clean(cluster.path());
    EXPECT_EQ(result.objects, 0U);
    EXPECT_TRUE(test::mentions(result.kept, "marker"));
    EXPECT_EQ(remove_abandoned(*repository, "main").objects, 0U);
    EXPECT_EQ(objects().size(), 4U);
}

TEST_F(Cleanup, OneObjectOfAnotherServerSavesAll) {
    for (const std::string& name : objects()) {
        const std::string place = name.substr(5);
        put(place, Writer{"elsewhere", "boot", cluster.path(), 0, {}});
        const CleanupResult result = clean(cluster.path());
        EXPECT_EQ(result.objects, 0U) << name;
        EXPECT_TRUE(test::mentions(result.kept, "elsewhere"));
        EXPECT_EQ(objects().size(), 3U);
        put(place, make_writer(cluster.path()));
    }
}

TEST_F(Cleanup, AnObjectThatDoesNotSayItsWriterIsKept) {
    const std::string name = objects()[0];
    for (const std::string& content :
         {std::string(), std::string("junk"), std::string(5000, 'x')}) {
        store->remove(name);
        store->put_if_absent(name, as_bytes(content));
        const CleanupResult result = clean(cluster.path());
        EXPECT_EQ(result.objects, 0U);
        EXPECT_TRUE(test::mentions(result.kept, name)) << result.kept;
    }
    EXPECT_EQ(objects().size(), 3U);
}

// Nobody is silent for longer than a backup may wait for its WAL.
TEST_F(Cleanup, AnotherServersBackupIsRemovedWhenItIsDead) {
    leave(Writer{"elsewhere", "boot", "/data", 0, {}});
    make_all_older(24);
    EXPECT_EQ(clean(cluster.path()).objects, 0U) << "it may be waiting for WAL";
    make_all_older(26);
    make_older(objects()[1], 1);
    EXPECT_EQ(clean(cluster.path()).objects, 0U) << "its newest object counts";
    make_all_older(26);
    const CleanupResult result = clean(cluster.path());
    EXPECT_EQ(result.objects, 3U);
    EXPECT_EQ(result.kept, "");
}

// The writer was alive after all: its marker over removed packs would be a backup that is none.
TEST_F(Cleanup, AMarkerThatComesMeanwhileDoesNotStand) {
    const std::string last = objects().back();
    on_store = [&](const std::string& call, const std::string& name) {
        if (call == "remove" && name == last)
            store->put_if_absent(marker_name(), as_bytes("{}"));
    };
    clean(cluster.path());
    on_store = nullptr;
    EXPECT_TRUE(objects().empty());
}

TEST_F(Cleanup, TakesHalfWrittenFilesAlong) {
    const std::string half = temporary("main/" + place::backup(kId) + "/data");
    make_older(half, 1);
    EXPECT_EQ(clean(cluster.path()).objects, 4U);
    EXPECT_FALSE(is_there("main/" + place::backup(kId))) << "the directory, too";
}

TEST_F(Cleanup, RefusesIdsThatLeadElsewhere) {
    for (const char* id : {"", "..", "../wal", "a/b"}) {
        test::expect_error(ErrorCode::invalid_argument, [&] {
            return remove_unfinished_backup(*repository, "main", id, cluster.path());
        });
    }
}

// A row that is lost, a primary that never came back: nobody asks by name.
TEST_F(Cleanup, WhatNobodyRemembersGoesWhenItIsDead) {
    EXPECT_EQ(remove_abandoned(*repository, "main").objects, 0U)
        << "it may be under way, here even";
    EXPECT_EQ(objects().size(), 3U);
    make_all_older(26);
    store->put_if_absent("main/wal/00000001/00000000/000000010000000000000001.zst", as_bytes("w"));
    make_older("main/wal/00000001/00000000/000000010000000000000001.zst", 1000);
    store->put_if_absent("ark-probe/old", as_bytes("p"));
    make_older("ark-probe/old", 26);
    const std::string old_half = temporary("main/wal/00000001/00000000");
    make_older(old_half, 26);
    const std::string half = temporary("main/wal/00000001/00000001");
    EXPECT_EQ(remove_abandoned(*repository, "main").objects, 5U);
    EXPECT_TRUE(objects().empty());
    EXPECT_FALSE(is_there(old_half));
    EXPECT_TRUE(is_there(half)) << "its writer may be at it";
    EXPECT_TRUE(is_there("main/wal/00000001/00000000/000000010000000000000001.zst"));
    EXPECT_TRUE(is_there("ark.json"));
    EXPECT_FALSE(is_there("ark-probe/old"));
}

// A server that may not remove anything: it is told how much stays, asks for one removal alone, and
// goes on.
TEST_F(Cleanup, WithoutTheRightToRemoveItStays) {
    int asked = 0;
    on_store = [&](const std::string& call, const std::string& name) {
        if (call != "remove" || name.starts_with("ark-probe/"))
            return;
        ++asked;
        throw Error(ErrorCode::permission_denied, "DELETE failed");
    };
    CleanupResult result = clean(cluster.path());
    EXPECT_EQ(result.objects, 0U);
    EXPECT_EQ(result.kept, "the right to remove objects is missing, 3 stay: DELETE failed");
    make_all_older(26);
    asked = 0;
    result = remove_abandoned(*repository, "main");
    EXPECT_EQ(result.objects, 0U);
    EXPECT_EQ(result.kept, "the right to remove objects is missing, 3 stay: DELETE failed");
    EXPECT_EQ(asked, 1);
    EXPECT_EQ(objects().size(), 3U);
}

}  // namespace
}  // namespace ark
