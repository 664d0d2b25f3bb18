#include "core/archive/spool.hpp"

#include <filesystem>

#include <gtest/gtest.h>

#include "test/unit/archive/data_directory.hpp"
#include "test/unit/archive/fixture.hpp"

namespace ark {
namespace {

namespace fs = std::filesystem;

const std::string kName = "000000010000000000000005";

std::string key_of(const SpoolOrigin& origin) {
    return spool_key(origin, {100, 5000, false});
}

class SpoolTest : public ::testing::Test {
 protected:
    SpoolTest() { spool.create(); }

    void add(const Spool& to, const std::string& name, ByteView content, bool is_free = true) {
        to.begin(name);
        to.write(name, content);
        to.publish(name, content_hash(content), is_free);
    }
    size_t files() const {
        return static_cast<size_t>(std::distance(fs::directory_iterator(spool.directory()), {}));
    }

    test::DataDirectory data;
    const std::string key = key_of({"file:///srv/ark", "7301", "2", 42});
    const Spool spool{data.path(), key};
    const Bytes content = Bytes(1000, std::byte{7});
};

TEST_F(SpoolTest, TheKeyIsAllThatDecides) {
    EXPECT_EQ(key, key_of({"file:///srv/ark", "7301", "2", 42}));
    EXPECT_NE(key, key_of({"file:///srv/other", "7301", "2", 42}));
    EXPECT_NE(key, key_of({"file:///srv/ark", "7302", "2", 42}));
    EXPECT_NE(key, key_of({"file:///srv/ark", "7301", "latest", 42}));
    EXPECT_NE(key, key_of({"file:///srv/ark", "7301", "2", 43}));
    EXPECT_NE(key, spool_key({"file:///srv/ark", "7301", "2", 42}, {101, 5000, false}));
    EXPECT_NE(key, spool_key({"file:///srv/ark", "7301", "2", 42, 1}, {100, 5000, false}));
    EXPECT_NE(key, spool_key({"file:///srv/ark", "7301", "2", 42}, {100, 5001, false}));
    EXPECT_NE(key_of({"a", "bc", "", 0}), key_of({"ab", "c", "", 0}));
}

TEST_F(SpoolTest, GivesOutWhatWasPublished) {
    EXPECT_FALSE(spool.find(kName));
    spool.begin(kName);
    spool.write(kName, content);
    EXPECT_FALSE(spool.find(kName));
    spool.publish(kName, content_hash(content), true);
    const auto found = spool.find(kName);
    ASSERT_TRUE(found);
    EXPECT_TRUE(found->is_free);
    EXPECT_EQ(read_file(found->path, 1 << 20), content);
    EXPECT_EQ(spool.segments(), std::vector<std::string>{kName});
    spool.remove(kName);
    EXPECT_FALSE(spool.find(kName));
    add(spool, kName, content, false);
    EXPECT_FALSE(spool.find(kName)->is_free);
}

// What a power failure leaves: a name without its bytes.
TEST_F(SpoolTest, ATornFileIsNeverGivenOut) {
    for (const size_t length : {size_t(0), size_t(999), size_t(1000), size_t(1001)}) {
        add(spool, kName, content);
        const std::string path = spool.find(kName)->path;
        Bytes torn = content;
        torn.resize(length);
        if (length == 1000)
            torn[500] = std::byte{0};
        test::write_text(path, as_text(torn));
        EXPECT_FALSE(spool.find(kName)) << length;
        EXPECT_FALSE(fs::exists(path)) << length;
    }
}

TEST_F(SpoolTest, AnotherKeysSegmentsAreNobodys) {
    const Spool other(data.path(), key_of({"file:///srv/other", "7301", "2", 42}));
    add(other, kName, content);
    EXPECT_FALSE(spool.find(kName));
    EXPECT_TRUE(spool.segments().empty());
    EXPECT_EQ(files(), 1U);
    spool.clear();
    EXPECT_EQ(files(), 0U);
}

TEST_F(SpoolTest, ClearingLeavesWhatIsInUse) {
    add(spool, kName, content);
    spool.begin("000000010000000000000006");  // by one that was killed
    spool.want({kName, false});
    test::write_text(
        spool.directory() + "/" + kName + "." + key + "." + std::string(32, 'x') + ".f", "odd");
    EXPECT_EQ(spool.segments(), std::vector<std::string>{kName});
    spool.clear();
    EXPECT_EQ(files(), 1U);
    EXPECT_TRUE(spool.wanted());
}

TEST_F(SpoolTest, TellsWhatIsWanted) {
    EXPECT_FALSE(spool.wanted());
    spool.want({kName, true});
    EXPECT_EQ(spool.wanted(), (SpoolWish{kName, true}));
    spool.want({kName, false});
    EXPECT_EQ(spool.wanted(), (SpoolWish{kName, false}));
    const Spool other(data.path(), key_of({"file:///srv/other", "7301", "2", 42}));
    EXPECT_EQ(test::error_of([&] { other.wanted(); }), ErrorCode::conflict);
    test::write_text(spool.directory() + "/wanted", key + " 0000000");
    EXPECT_FALSE(spool.wanted());
}

TEST_F(SpoolTest, AConfirmationGrowsOld) {
    constexpr int64_t kSecond = 1000000000;
    EXPECT_FALSE(spool.was_confirmed(kSecond));
    spool.confirm(boot_nanos());
    EXPECT_TRUE(spool.was_confirmed(10 * kSecond));
    spool.confirm(boot_nanos() - 11 * kSecond);
    EXPECT_FALSE(spool.was_confirmed(10 * kSecond));
    spool.confirm(boot_nanos() + 3600 * kSecond);  // of another boot
    EXPECT_FALSE(spool.was_confirmed(10 * kSecond));
    const Spool other(data.path(), key_of({"file:///srv/other", "7301", "2", 42}));
    other.confirm(boot_nanos());
    EXPECT_FALSE(spool.was_confirmed(10 * kSecond));
}

TEST_F(SpoolTest, OneProcessFillsIt) {
    EXPECT_FALSE(SpoolLock::is_taken(spool.directory()));
    spool.begin(kName);
    EXPECT_FALSE(spool.is_coming(kName));  // left by one that was killed
    auto lock = SpoolLock::take(spool.directory());
    ASSERT_TRUE(lock);
    EXPECT_TRUE(SpoolLock::is_taken(spool.directory()));
    EXPECT_FALSE(SpoolLock::take(spool.directory()));
    EXPECT_TRUE(spool.is_coming(kName));
    remove_abandoned_spool(data.path());
    EXPECT_TRUE(fs::exists(spool.directory()));
    lock->remove_spool();
    EXPECT_FALSE(fs::exists(spool.directory()));
}

TEST_F(SpoolTest, AnAbandonedOneIsRemoved) {
    add(spool, kName, content);
    spool.want({kName, false});
    spool.confirm(1);
    remove_abandoned_spool(data.path());
    EXPECT_FALSE(fs::exists(spool.directory()));
    remove_abandoned_spool(data.path());
    EXPECT_TRUE(fs::exists(data.path() + "/pg_wal"));
}

}  // namespace
}  // namespace ark
