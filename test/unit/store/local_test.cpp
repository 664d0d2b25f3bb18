#include "core/store/local.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>

#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "core/store/local_tree.hpp"
#include "core/store/object_store.hpp"
#include "test/support/temporary_directory.hpp"

namespace ark {
namespace {

namespace fs = std::filesystem;

ErrorCode code_of(const std::function<void()>& function) {
    try {
        function();
    } catch (const Error& error) {
        return error.code;
    }
    ADD_FAILURE() << "no error";
    return ErrorCode::internal;
}

class LocalStoreTest : public testing::Test {
 protected:
    void put(const std::string& name) { store->put_if_absent(name, as_bytes("x")); }
    static mode_t mode_of(const std::string& path) {
        struct stat st {};
        EXPECT_EQ(::lstat(path.c_str(), &st), 0) << path;
        return st.st_mode & 07777;
    }

    test::TemporaryDirectory directory;
    std::string root = directory / "repo";
    std::unique_ptr<ObjectStore> store = make_local_store(root);
    Bytes buffer = Bytes(1);
};

TEST_F(LocalStoreTest, MarkMakesTheRootAndNothingElseDoes) {
    EXPECT_EQ(code_of([&] { put("a/b"); }), ErrorCode::unavailable);
    EXPECT_FALSE(fs::exists(root));
    EXPECT_EQ(code_of([&] { store->get("ark.json", 10); }), ErrorCode::unavailable);
    EXPECT_TRUE(store->list_parts("").empty());
    put("ark.json");
    put("a/b");
    EXPECT_TRUE(fs::exists(root + "/a/b"));
}

TEST_F(LocalStoreTest, RootsParentIsNeverMade) {
    store = make_local_store(directory / "no/such/repo");
    EXPECT_EQ(code_of([&] { put("ark.json"); }), ErrorCode::not_found);
    EXPECT_FALSE(fs::exists(directory / "no"));
}

TEST_F(LocalStoreTest, MissingRootIsNeverAbsenceOfAnObject) {
    EXPECT_EQ(code_of([&] { store->get("wal/1", 10); }), ErrorCode::unavailable);
    EXPECT_EQ(code_of([&] { store->head("wal/1"); }), ErrorCode::unavailable);
    EXPECT_EQ(code_of([&] { store->get_range("wal/1", 0, buffer); }), ErrorCode::unavailable);
    EXPECT_EQ(code_of([&] { store->remove("wal/1"); }), ErrorCode::unavailable);
    EXPECT_EQ(code_of([&] { store->free_bytes(); }), ErrorCode::unavailable);
}

// What is left of a mount point after umount: the directory is there, the repository is not.
TEST_F(LocalStoreTest, RootThatLostItsMarkIsUnavailable) {
    put("ark.json");
    put("wal/1");
    fs::rename(root, root + ".mounted");
    EXPECT_EQ(code_of([&] { store->get("ark.json", 10); }), ErrorCode::unavailable);
    fs::create_directory(root);
    EXPECT_EQ(code_of([&] { store->get("wal/1", 10); }), ErrorCode::unavailable);
    EXPECT_EQ(code_of([&] { store->head("ark.json"); }), ErrorCode::unavailable);
    EXPECT_EQ(code_of([&] { put("wal/2"); }), ErrorCode::unavailable);
    EXPECT_EQ(code_of([&] { put("ark.json"); }), ErrorCode::unavailable);
    EXPECT_EQ(code_of([&] { store->list("", [](const ObjectInfo&) { return true; }); }),
              ErrorCode::unavailable);
    EXPECT_TRUE(fs::is_empty(root));
    fs::remove(root);
    fs::rename(root + ".mounted", root);
    EXPECT_TRUE(store->get("wal/1", 10));
}

// Another file system is mounted over the root, and has a repository: what goes on belongs into the
// first one.
TEST_F(LocalStoreTest, AnotherRepositoryInItsPlaceIsUnavailable) {
    store->put_if_absent("ark.json", as_bytes("one"));
    put("a/b");
    fs::rename(root, directory / "away");
    make_local_store(root)->put_if_absent("ark.json", as_bytes("two"));
    EXPECT_EQ(code_of([&] { put("a/c"); }), ErrorCode::unavailable);
    EXPECT_EQ(code_of([&] { store->head("a/b"); }), ErrorCode::unavailable);
    EXPECT_EQ(code_of([&] { store->get("ark.json", 10); }), ErrorCode::unavailable);
    EXPECT_FALSE(fs::exists(root + "/a"));
    // The first one, though as other files: mounted again, or copied.
    fs::remove_all(root);
    fs::copy(directory / "away", root, fs::copy_options::recursive);
    EXPECT_TRUE(store->head("a/b"));
    put("a/c");
}

TEST_F(LocalStoreTest, ReadingTheMarkIsEnoughToRememberIt) {
    put("ark.json");
    store = make_local_store(root);
    ASSERT_TRUE(store->get("ark.json", 10));
    fs::remove(root + "/ark.json");
    EXPECT_EQ(code_of([&] { store->get("wal/1", 10); }), ErrorCode::unavailable);
}

TEST_F(LocalStoreTest, Modes) {
    put("ark.json");
    put("a/b/c");
    EXPECT_EQ(mode_of(root), 0700U);
    EXPECT_EQ(mode_of(root + "/a"), 0700U);
    EXPECT_EQ(mode_of(root + "/a/b"), 0700U);
    EXPECT_EQ(mode_of(root + "/a/b/c"), 0600U);
}

TEST_F(LocalStoreTest, SymbolicLinksAreNotFollowedOut) {
    put("ark.json");
    fs::create_directory(directory / "outside");
    std::ofstream(directory / "outside/secret") << "secret";
    fs::create_symlink(directory / "outside", root + "/link");
    fs::create_symlink(directory / "outside/secret", root + "/file");
    EXPECT_EQ(code_of([&] { store->get("link/secret", 10); }), ErrorCode::refused);
    EXPECT_EQ(code_of([&] { store->head("link/secret"); }), ErrorCode::refused);
    EXPECT_EQ(code_of([&] { put("link/new"); }), ErrorCode::refused);
    EXPECT_EQ(code_of([&] { store->get("file", 10); }), ErrorCode::refused);
    EXPECT_EQ(code_of([&] { store->remove("link/secret"); }), ErrorCode::refused);
    EXPECT_EQ(store->put_if_absent("file", as_bytes("x")), PutResult::exists);
    EXPECT_EQ(store->list_parts(""), std::vector<std::string>{"ark.json"});
    EXPECT_TRUE(fs::exists(directory / "outside/secret"));
    EXPECT_FALSE(fs::exists(directory / "outside/new"));
}

TEST_F(LocalStoreTest, RootMayBeASymbolicLink) {
    fs::create_directory(directory / "real");
    fs::create_symlink(directory / "real", root);
    put("ark.json");
    EXPECT_TRUE(fs::exists(directory / "real/ark.json"));
}

TEST_F(LocalStoreTest, ForeignFilesAreNotListed) {
    put("ark.json");
    fs::create_directory(root + "/lost+found");
    std::ofstream(root + "/~1-2-3") << "half";
    ASSERT_EQ(::mkfifo((root + "/fifo").c_str(), 0600), 0);
    EXPECT_EQ(store->list_parts(""), std::vector<std::string>{"ark.json"});
    EXPECT_EQ(code_of([&] { store->get("fifo", 10); }), ErrorCode::refused);
}

TEST_F(LocalStoreTest, EmptyDirectoriesGoWithTheirLastObject) {
    put("ark.json");
    put("a/b/c");
    put("a/d");
    store->remove("a/b/c");
    EXPECT_FALSE(fs::exists(root + "/a/b"));
    EXPECT_TRUE(fs::exists(root + "/a"));
    store->remove("a/d");
    EXPECT_FALSE(fs::exists(root + "/a"));
}

TEST_F(LocalStoreTest, CancelledUploadLeavesNoFile) {
    for (const bool unnamed : {true, false}) {
        store = make_local_store(directory.path(), {.unnamed_temporaries = unnamed});
        store->start_upload("d/pack")->write(as_bytes("half"));
        EXPECT_TRUE(fs::is_empty(directory / "d"));
    }
}

// On file systems without O_TMPFILE a killed writer leaves a file that no listing shows.
TEST_F(LocalStoreTest, AbandonedTemporariesAreRemovedWhenTheyAreOld) {
    store = make_local_store(root, {.unnamed_temporaries = false});
    put("ark.json");
    put("a/b/object");
    const auto leave = [&](const std::string& name, int hours) {
        fs::create_directories(fs::path(root + "/" + name).parent_path());
        std::ofstream(root + "/" + name) << "half";
        fs::last_write_time(root + "/" + name,
                            fs::file_time_type::clock::now() - std::chrono::hours(hours));
    };
    leave("a/b/~1-2-3", 2);
    leave("a/c/~1-2-3", 2);
    leave("a/b/~4-5-6", 0);
    leave("a/b/.foreign", 2);
    leave("z/~1-2-3", 2);
    const std::unique_ptr<Upload> living = store->start_upload("a/b/new");
    living->write(as_bytes("x"));
    const UnixMicros hour_ago = now_micros() - 3600LL * 1000000;
    EXPECT_EQ(store->remove_temporaries("a", hour_ago), 2U);
    EXPECT_EQ(store->remove_temporaries("none", hour_ago), 0U);
    EXPECT_FALSE(fs::exists(root + "/a/c"));
    for (const char* kept : {"a/b/object", "a/b/~4-5-6", "a/b/.foreign", "z/~1-2-3"})
        EXPECT_TRUE(fs::exists(root + "/" + kept)) << kept;
    EXPECT_EQ(living->finish(), PutResult::created);
}

TEST_F(LocalStoreTest, DurabilityOfAnObjectNeedsItsRoot) {
    put("ark.json");
    put("a/b");
    store->make_durable("a/b");
    fs::rename(root, directory / "away");
    EXPECT_EQ(code_of([&] { store->make_durable("a/b"); }), ErrorCode::unavailable);
}

TEST_F(LocalStoreTest, PermissionDeniedNamesFileAndHint) {
    put("ark.json");
    put("a/b");
    fs::permissions(root + "/a", fs::perms::none);
    constexpr uid_t kNobody = 65534;
    const bool is_root = ::geteuid() == 0;
    // root may read everything
    if (is_root) {
        ASSERT_EQ(::seteuid(kNobody), 0);
    }
    try {
        store->get("a/b", 10);
        ADD_FAILURE() << "no error";
    } catch (const Error& error) {
        EXPECT_EQ(error.code, ErrorCode::permission_denied);
        EXPECT_NE(error.message.find(root), std::string::npos) << error.message;
        EXPECT_FALSE(error.hint.empty());
    }
    if (is_root) {
        ASSERT_EQ(::seteuid(0), 0);
    }
    fs::permissions(root + "/a", fs::perms::owner_all);
}

TEST_F(LocalStoreTest, FileWhereADirectoryMustBe) {
    put("ark.json");
    put("a");
    EXPECT_EQ(code_of([&] { put("a/b"); }), ErrorCode::io_error);
}

TEST(LocalStoreError, WhatTheOperatingSystemSays) {
    const auto code = [](int error_number) { return local_store_error(error_number, "x").code; };
    EXPECT_EQ(code(ENOSPC), ErrorCode::disk_full);
    EXPECT_EQ(code(EDQUOT), ErrorCode::disk_full);
    EXPECT_EQ(code(EROFS), ErrorCode::permission_denied);
    EXPECT_EQ(code(EIO), ErrorCode::io_error);
    EXPECT_EQ(code(ESTALE), ErrorCode::unavailable);
    EXPECT_TRUE(local_store_error(ENOTCONN, "x").retryable);
    EXPECT_FALSE(local_store_error(ENOSPC, "x").retryable);
    EXPECT_FALSE(local_store_error(ENOSPC, "x").hint.empty());
}

}  // namespace
}  // namespace ark
