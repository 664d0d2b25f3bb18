#include "core/repo/repository.hpp"

#include <mutex>
#include <set>

#include "test/support/expect_error.hpp"
#include "test/support/store_decorator.hpp"
#include "test/support/temporary_directory.hpp"

namespace ark {
namespace {

std::unique_ptr<Repository> open(const std::shared_ptr<ObjectStore>& store, OpenMode mode) {
    return Repository::open(
        std::make_unique<test::StoreDecorator>(store, [](const auto&, const auto&) {}), mode);
}

TEST(Repository, IsMadeOnceAndKeepsItsId) {
    const std::shared_ptr<ObjectStore> store = make_memory_store();
    const std::string id = open(store, OpenMode::create)->id();
    EXPECT_EQ(id.size(), 36U);
    EXPECT_EQ(id[14], '4');
    for (const OpenMode mode : {OpenMode::read, OpenMode::write, OpenMode::create})
        EXPECT_EQ(open(store, mode)->id(), id);
    EXPECT_NE(open(make_memory_store(), OpenMode::create)->id(), id);
}

// An empty place that reads as an empty repository would hide an unmounted disk.
TEST(Repository, ReadersAndWritersMakeNone) {
    const std::shared_ptr<ObjectStore> store = make_memory_store();
    for (const OpenMode mode : {OpenMode::read, OpenMode::write}) {
        const Error error =
            test::expect_error(ErrorCode::not_found, [&] { return open(store, mode); });
        EXPECT_TRUE(test::mentions(error.message, "memory:"));
        EXPECT_FALSE(error.hint.empty());
    }
    EXPECT_FALSE(store->head("ark.json"));
}

TEST(Repository, APlaceWithOtherThingsIsNotTaken) {
    const std::shared_ptr<ObjectStore> store = make_memory_store();
    store->put_if_absent("photos/1.jpg", as_bytes("x"));
    test::expect_error(ErrorCode::refused, [&] { return open(store, OpenMode::create); });
    EXPECT_FALSE(store->head("ark.json"));
}

TEST(Repository, AStoreThatOverwritesIsNotTaken) {
    const std::shared_ptr<ObjectStore> store = make_memory_store();
    std::mutex one_at_a_time;
    auto overwriting = std::make_unique<test::StoreDecorator>(
        store, [&](const std::string& call, const std::string& name) {
            if (call == "put") {
                one_at_a_time.lock();
                store->remove(name);
            } else if (call == "put-answer") {
                one_at_a_time.unlock();
            }
        });
    const Error error = test::expect_error(ErrorCode::refused, [&] {
        return Repository::open(std::move(overwriting), OpenMode::create);
    });
    EXPECT_TRUE(test::mentions(error.detail, "4 were told that they had"));
    EXPECT_TRUE(test::mentions(error.hint, "create_if_absent=off"));
    EXPECT_EQ(store->list_parts(""), std::vector<std::string>{});
}

TEST(Repository, OfTwoCreatorsOneIdCounts) {
    const std::shared_ptr<ObjectStore> store = make_memory_store();
    std::string first;
    bool raced = false;
    auto racing = std::make_unique<test::StoreDecorator>(
        store, [&](const std::string& call, const std::string& name) {
            if (call == "put" && name == "ark.json" && !std::exchange(raced, true))
                first = open(store, OpenMode::create)->id();
        });
    EXPECT_EQ(Repository::open(std::move(racing), OpenMode::create)->id(), first);
    EXPECT_TRUE(raced);
}

TEST(Repository, AStoreThatCannotBeReachedIsNoEmptyPlace) {
    for (const OpenMode mode : {OpenMode::read, OpenMode::write, OpenMode::create}) {
        auto away = std::make_unique<test::StoreDecorator>(
            make_memory_store(), [](const std::string&, const std::string&) {
                throw Error(ErrorCode::unavailable, "no route");
            });
        test::expect_error(ErrorCode::unavailable,
                           [&] { return Repository::open(std::move(away), mode); });
    }
}

TEST(Repository, MarksThatAreNotOurs) {
    struct Case {
        const char* mark;
        ErrorCode code;
    };
    for (const Case& c :
         {Case{"", ErrorCode::corrupt}, Case{"{", ErrorCode::corrupt},
          Case{"[]", ErrorCode::corrupt}, Case{"null", ErrorCode::corrupt},
          Case{"{\"repository_id\": \"x\"}", ErrorCode::corrupt},
          Case{"{\"pg_ark_repository\": 1}", ErrorCode::corrupt},
          Case{"{\"pg_ark_repository\": true, \"repository_id\": \"x\"}", ErrorCode::corrupt},
          Case{"{\"pg_ark_repository\": 1, \"repository_id\": 7}", ErrorCode::corrupt},
          Case{"{\"pg_ark_repository\": 1, \"repository_id\": \"\"}", ErrorCode::corrupt},
          // It goes into a line of the child's protocol.
          Case{"{\"pg_ark_repository\": 1, \"repository_id\": \"x\\nerror sqlstate=0\"}",
               ErrorCode::corrupt},
          Case{"{\"pg_ark_repository\": 2, \"repository_id\": \"x\"}", ErrorCode::unsupported}}) {
        const std::shared_ptr<ObjectStore> store = make_memory_store();
        store->put_if_absent("ark.json", as_bytes(c.mark));
        for (const OpenMode mode : {OpenMode::read, OpenMode::create})
            test::expect_error(
                c.code, [&] { return open(store, mode); }, c.mark);
    }
}

TEST(Repository, ALocalPlaceThatIsAbsentIsMade) {
    const test::TemporaryDirectory directory;
    const std::string url = "file://" + (directory / "repo");
    test::expect_error(ErrorCode::unavailable,
                       [&] { return Repository::open(url, OpenMode::write); });
    const std::string id = Repository::open(url, OpenMode::create)->id();
    EXPECT_EQ(Repository::open(url, OpenMode::read)->id(), id);
    const Error error = test::expect_error(ErrorCode::not_found, [&] {
        return Repository::open("file://" + (directory / "a/b/c"), OpenMode::create);
    });
    EXPECT_FALSE(error.hint.empty());
}

TEST(Repository, ClustersAreItsDirectories) {
    const std::shared_ptr<ObjectStore> store = make_memory_store();
    const auto repository = open(store, OpenMode::create);
    test::expect_error(ErrorCode::not_found, [&] { return repository->resolve_cluster(""); });
    store->put_if_absent("ark-probe/x", as_bytes("x"));
    store->put_if_absent("7001/wal/x", as_bytes("x"));
    EXPECT_EQ(repository->clusters(), std::vector<std::string>{"7001"});
    EXPECT_EQ(repository->resolve_cluster(""), "7001");
    store->put_if_absent("main/wal/x", as_bytes("x"));
    EXPECT_EQ(repository->resolve_cluster("main"), "main");
    const Error several = test::expect_error(ErrorCode::invalid_argument,
                                             [&] { return repository->resolve_cluster(""); });
    EXPECT_TRUE(test::mentions(several.detail, "7001, main"));
    test::expect_error(ErrorCode::not_found, [&] { return repository->resolve_cluster("7002"); });
}

TEST(Place, NamesOfTheFormat) {
    const std::string segment = "0000000A00000002000000FE";
    EXPECT_EQ(place::segment(segment), "wal/0000000A/00000002/" + segment + ".zst");
    EXPECT_EQ(place::partial(segment + ".partial", "ab"),
              "wal/0000000A/00000002/" + segment + ".partial.ab.zst");
    EXPECT_EQ(place::history(10), "wal/0000000A/0000000A.history");
    EXPECT_EQ(place::pack("b", 7), "backup/b/data/00007.tar.zst");
    EXPECT_EQ(place::pack("b", 123456), "backup/b/data/123456.tar.zst");
    EXPECT_EQ(place::index("b"), "backup/b/index.zst");
    EXPECT_EQ(place::manifest("b"), "backup/b/manifest.zst");
    EXPECT_EQ(place::config("b"), "backup/b/config.tar.zst");
    EXPECT_EQ(place::marker("b"), "backup/b/backup.json");
}

TEST(Place, NamePartsLeadNowhereElse) {
    for (const char* good : {"a", "manual_20261120_021500_9f3a01bc", "7301", "A-b.c"})
        EXPECT_TRUE(is_valid_name_part(good)) << good;
    for (const char* bad : {"", ".", "..", ".hidden", "a/b", "a b", "a\n", "\xC3\xA4", "a%2f"})
        EXPECT_FALSE(is_valid_name_part(bad)) << bad;
    EXPECT_TRUE(is_valid_name_part(std::string(128, 'x')));
    EXPECT_FALSE(is_valid_name_part(std::string(129, 'x')));
    EXPECT_FALSE(is_valid_name_part(std::string("a\0b", 3)));
}

}  // namespace
}  // namespace ark
