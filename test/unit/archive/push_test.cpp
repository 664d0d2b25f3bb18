#include "core/archive/push.hpp"

#include <filesystem>

#include <gtest/gtest.h>

#include "core/archive/fetch.hpp"
#include "core/repo/vault.hpp"
#include "test/unit/archive/data_directory.hpp"
#include "test/unit/archive/fixture.hpp"

namespace ark {
namespace {

using test::ForkedWal;
using test::kCluster;
using test::WalBuilder;
constexpr uint64_t kSize = WalBuilder::kSegmentSize;
const std::string kName = WalBuilder::name(5);

class Push : public ::testing::Test {
 protected:
    PushTarget target(const std::string& host = "one") {
        return {repo.store(), kCluster, WalBuilder::kSystemIdentifier,
                kSize,        1,        {host, "boot", data.path(), 0}};
    }
    PushResult push(const std::string& name, ByteView bytes, const std::string& host = "one") {
        data.add_wal(name, bytes);
        return push_wal_file(target(host), name, data.wal(name), buffers);
    }
    std::optional<Error> refusal(const std::string& name, ByteView bytes,
                                 const std::string& host = "one") {
        try {
            push(name, bytes, host);
            return std::nullopt;
        } catch (const Error& error) {
            return error;
        }
    }
    FetchContext context() { return {*repo.repository, kCluster}; }

    test::TestRepository repo;
    test::DataDirectory data;
    ForkedWal wal;
    PushBuffers buffers{1};
};

TEST_F(Push, StoresASegmentOnce) {
    EXPECT_EQ(push(kName, wal.parent.segment(5)), PushResult::stored);
    EXPECT_EQ(fetch_segment(context(), kName), wal.parent.segment(5));
    EXPECT_EQ(push(kName, wal.parent.segment(5)), PushResult::present);
    EXPECT_EQ(push(kName, wal.parent.segment(5), "two"), PushResult::present);
}

// Encryption was turned off in the middle of a segment, and the key taken away.
TEST_F(Push, EncryptedPiecesDoNotKeepTheWholeFromBeingStored) {
    const auto keyring = std::make_shared<const OpenKeyring>(
        OpenKeyring::make(kCluster, {KeySecret::Type::key, random_secret(32)}));
    const auto with_key = repo.open(OpenMode::write);
    with_key->use_vault(kCluster, std::make_shared<const Vault>(keyring));
    const Bytes segment = wal.parent.segment(5);
    store_object(with_key->store(), kCluster, ObjectKind::tail, place::tail(kName, 0),
                 ByteView(segment).first(1000), {}, 1);
    PushTarget here = target();
    here.repository = repo.repository.get();
    data.add_wal(kName, segment);
    EXPECT_EQ(push_wal_file(here, kName, data.wal(kName), buffers), PushResult::stored);
    EXPECT_EQ(fetch_segment(context(), kName), segment);
    // With a key that is another one it is a mistake, not a decision.
    repo.base->remove(kCluster + "/" + place::segment(kName));
    repo.repository->use_vault(
        kCluster,
        std::make_shared<const Vault>(std::make_shared<const OpenKeyring>(OpenKeyring::make(
                                          kCluster, {KeySecret::Type::key, random_secret(32)})),
                                      VaultOptions{.encrypts = false}));
    PushTarget other{repo.store(), kCluster, WalBuilder::kSystemIdentifier,
                     kSize,        1,        {"one", "boot", data.path(), 0}};
    other.repository = repo.repository.get();
    PushBuffers fresh{1};
    EXPECT_EQ(test::error_of([&] { push_wal_file(other, kName, data.wal(kName), fresh); }),
              ErrorCode::invalid_key);
}

// On a host that cannot read what it wrote, beside its own pieces of the segment.
TEST_F(Push, AHostThatOnlyWritesKnowsItsOwnAgain) {
    const auto keyring = std::make_shared<const OpenKeyring>(
        OpenKeyring::make(kCluster, {KeySecret::Type::key, random_secret(32)}));
    repo.repository->use_vault(
        kCluster, std::make_shared<const Vault>(std::vector<Recipient>{keyring->recipient()}));
    const Bytes segment = wal.parent.segment(5);
    const auto put_piece = [&](const Bytes& of, uint64_t from, uint64_t to) {
        store_object(repo.store(), kCluster, ObjectKind::tail,
                     place::tail(kName, static_cast<uint32_t>(from)),
                     ByteView(of).subspan(from, to - from), {}, 1);
    };
    const auto push_it = [&] {
        PushTarget here = target();
        here.repository = repo.repository.get();
        PushBuffers fresh{1};
        data.add_wal(kName, segment);
        return push_wal_file(here, kName, data.wal(kName), fresh);
    };
    put_piece(segment, 0, 1000);
    put_piece(segment, 1000, 5000);
    EXPECT_EQ(push_it(), PushResult::stored);
    EXPECT_EQ(push_it(), PushResult::present);
    repo.base->remove(kCluster + "/" + place::segment(kName));
    Bytes other = segment;
    other[5500] ^= std::byte{1};
    put_piece(other, 5000, 6000);
    EXPECT_EQ(test::error_of(push_it), ErrorCode::conflict);
    EXPECT_FALSE(repo.base->head(kCluster + "/" + place::segment(kName)));
    repo.repository->use_vault(kCluster, std::make_shared<const Vault>(keyring));
    EXPECT_EQ(test::error_of(push_it), ErrorCode::conflict);
}

// Two primaries with one identity: the second must hear who was first, and change nothing.
TEST_F(Push, RefusesOtherContentAndNamesBothWriters) {
    push(kName, wal.parent.segment(5), "one");
    WalBuilder other(5);
    other.add_commit(9, 9);
    other.fill_segment();
    const auto error = refusal(kName, other.segment(5), "two");
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code, ErrorCode::conflict);
    EXPECT_NE(error->detail.find("host one"), std::string::npos) << error->detail;
    EXPECT_NE(error->detail.find("host two"), std::string::npos) << error->detail;
    EXPECT_EQ(fetch_segment(context(), kName), wal.parent.segment(5));
}

TEST_F(Push, ADamagedObjectIsNoSuccess) {
    push(kName, wal.parent.segment(5));
    const std::string object = kCluster + "/" + place::segment(kName);
    repo.base->remove(object);
    repo.base->put_if_absent(object, as_bytes("not an object"));
    EXPECT_EQ(refusal(kName, wal.parent.segment(5))->code, ErrorCode::corrupt);
    // Its header promises the right content, its frames don't hold it.
    repo.base->remove(object);
    repo.put_segment(kName, wal.parent.segment(5));
    repo.damage(place::segment(kName));
    EXPECT_EQ(refusal(kName, wal.parent.segment(5))->code, ErrorCode::corrupt);
}

TEST_F(Push, NothingIsStoredThatIsNotComplete) {
    Bytes torn = wal.parent.segment(5);
    std::fill(torn.end() - 8192, torn.end(), std::byte{0});
    EXPECT_EQ(refusal(kName, torn)->code, ErrorCode::corrupt);
    EXPECT_EQ(refusal(kName, ByteView(torn).first(kSize / 2))->code, ErrorCode::corrupt);
    EXPECT_EQ(refusal(kName, {})->code, ErrorCode::corrupt);
    Bytes longer = wal.parent.segment(5);
    longer.resize(kSize + 8192);
    EXPECT_EQ(refusal(kName, longer)->code, ErrorCode::corrupt);
    EXPECT_EQ(repo.hooks->puts, 1);  // ark.json
}

TEST_F(Push, AnswersOnlyWhenTheStoreHas) {
    repo.hooks->before_put = [](const std::string&) {
        throw Error(ErrorCode::disk_full, "no space left");
    };
    EXPECT_EQ(refusal(kName, wal.parent.segment(5))->code, ErrorCode::disk_full);
}

TEST_F(Push, HistoriesAreNeverOverwritten) {
    EXPECT_EQ(push("00000002.history", as_bytes(wal.history)), PushResult::stored);
    EXPECT_EQ(push("00000002.history", as_bytes(wal.history)), PushResult::present);
    const auto error = refusal("00000002.history", as_bytes("1\t0/28\tanother promotion\n"), "two");
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code, ErrorCode::conflict);
    EXPECT_NE(error->detail.find("host two"), std::string::npos);
    EXPECT_EQ(as_text(fetch_history(context(), 2).value()), wal.history);
    EXPECT_EQ(refusal("00000003.history", as_bytes("rubbish\n"))->code, ErrorCode::corrupt);
}

TEST_F(Push, EveryPartialHasAPlaceOfItsOwn) {
    const std::string name = WalBuilder::name(6) + ".partial";
    Bytes shorter = wal.partial();
    std::fill(shorter.begin() + 8192, shorter.end(), std::byte{0});
    EXPECT_EQ(push(name, wal.partial()), PushResult::stored);
    EXPECT_EQ(push(name, shorter), PushResult::stored);
    EXPECT_EQ(push(name, wal.partial()), PushResult::present);
    EXPECT_EQ(fetch_partial(context(), name), wal.partial());
    EXPECT_EQ(refusal(name, wal.parent.segment(5))->code, ErrorCode::corrupt);
}

TEST_F(Push, BackupLabelsAreAcknowledged) {
    EXPECT_EQ(push_wal_file(target(), kName + ".00000028.backup", "/nonexistent", buffers),
              PushResult::ignored);
    EXPECT_EQ(repo.hooks->puts, 1);
}

TEST_F(Push, RefusesNamesThatNoServerOffers) {
    for (const char* name : {"", "x", "000000010000000000000005.bz2", "../000000010000000000000005",
                             "00000001000000000000000g", "RECOVERYXLOG"}) {
        EXPECT_EQ(test::error_of([&] { push_wal_file(target(), name, "/nonexistent", buffers); }),
                  ErrorCode::invalid_argument)
            << name;
    }
}

TEST_F(Push, AFileThatIsGoneIsAnError) {
    EXPECT_EQ(test::error_of([&] { push_wal_file(target(), kName, "/nonexistent", buffers); }),
              ErrorCode::not_found);
    std::filesystem::create_directory(data.wal(kName));
    EXPECT_TRUE(test::error_of([&] { push_wal_file(target(), kName, data.wal(kName), buffers); }));
}

TEST_F(Push, ReadingNeedsTheReadyFileWhereItIsAskedFor) {
    data.add_wal(kName, wal.parent.segment(5));
    read_wal_file(data.wal(kName), kName, kSize, true, buffers.content);
    EXPECT_EQ(buffers.content, wal.parent.segment(5));
    data.mark_done(kName);
    const auto code = [&](bool needs_ready) {
        return test::error_of(
            [&] { read_wal_file(data.wal(kName), kName, kSize, needs_ready, buffers.content); });
    };
    EXPECT_EQ(code(true), ErrorCode::refused);
    EXPECT_EQ(code(false), std::nullopt);  // not from the archiver: a parent's segment, say
}

TEST_F(Push, AnIdentityTellsARecycledFile) {
    data.add_wal(kName, wal.parent.segment(5));
    const FileIdentity before = identity_of_path(data.wal(kName));
    EXPECT_EQ(identity_of_path(data.wal(kName)), before);
    std::filesystem::rename(data.wal(kName), data.wal(WalBuilder::name(9)));
    data.add_wal(kName, wal.parent.segment(5));
    EXPECT_NE(identity_of_path(data.wal(kName)), before);
}

}  // namespace
}  // namespace ark
