#include "core/repo/cluster_keys.hpp"

#include <sys/stat.h>

#include <fstream>

#include <gtest/gtest.h>

#include "core/base/file.hpp"
#include "core/repo/stored_keyring.hpp"
#include "core/repo/vault_store.hpp"
#include "test/support/expect_error.hpp"
#include "test/support/temporary_directory.hpp"

namespace ark {
namespace {

using test::expect_error;

constexpr const char* kCluster = "7301";

class ClusterKeysTest : public ::testing::Test {
 protected:
    std::string key_file(const std::string& name) {
        const std::string path = directory / name;
        const SecretBytes text = make_key_secret();
        std::ofstream(path) << std::string_view(reinterpret_cast<const char*>(text.data()),
                                                text.size());
        ::chmod(path.c_str(), 0600);
        return path;
    }
    OpenKeyring make_keyring(const std::string& file) {
        OpenKeyring keyring = OpenKeyring::make(kCluster, read_key_secret({file, {}}));
        store_next_keyring(repository->store(), keyring, {});
        return keyring;
    }
    std::shared_ptr<const Vault> vault() { return vault_of(repository->store(), kCluster); }
    void prepare(const EncryptionWish& wish) { prepare_encryption(*repository, kCluster, wish); }
    // Whether a writer could lay something open.
    bool takes_plain() {
        try {
            repository->store().put_if_absent(std::string(kCluster) + "/wal/x",
                                              as_bytes(std::string_view("plain")));
            return true;
        } catch (const Error&) {
            return false;
        }
    }

    test::TemporaryDirectory directory;
    std::unique_ptr<Repository> repository =
        Repository::open(make_memory_store(), OpenMode::create);
};

TEST_F(ClusterKeysTest, ReadersNeedAKeyOnlyWhereThereIsAKeyring) {
    const std::string file = key_file("one");
    ClusterKeys({}).use(*repository, kCluster, false);
    ClusterKeys({directory / "not read", {}}).use(*repository, kCluster, false);
    EXPECT_FALSE(vault());
    make_keyring(file);
    ClusterKeys({}).use(*repository, kCluster, false);
    EXPECT_FALSE(vault());
    expect_error(ErrorCode::not_found, [&] {
        ClusterKeys({directory / "not there", {}}).use(*repository, kCluster, false);
        return 0;
    });
    ClusterKeys({file, {}}).use(*repository, kCluster, false);
    ASSERT_TRUE(vault());
    EXPECT_TRUE(vault()->can_read());
    EXPECT_FALSE(takes_plain());
}

TEST_F(ClusterKeysTest, AnotherKeyIsToldApart) {
    make_keyring(key_file("one"));
    const std::string other = key_file("other");
    expect_error(ErrorCode::invalid_key, [&] {
        ClusterKeys({other, {}}).use(*repository, kCluster, false);
        return 0;
    });
}

TEST_F(ClusterKeysTest, EncryptionThatIsRequiredIsNotLeftOutForWantOfAKey) {
    const auto use = [&](const KeySource& source) {
        ClusterKeys(source).use(*repository, kCluster, true);
        return 0;
    };
    expect_error(ErrorCode::invalid_argument, [&] { return use({}); });
    const std::string file = key_file("one");
    expect_error(ErrorCode::not_found, [&] { return use({file, {}}); });
    make_keyring(file);
    use({file, {}});
    expect_error(ErrorCode::refused, [&] {
        vault()->check_is_encrypted(false, "x", "c/x");
        return 0;
    });
}

TEST_F(ClusterKeysTest, TheSecretIsReadOnce) {
    const std::string file = key_file("one");
    make_keyring(file);
    const std::string runs = directory / "runs";
    ClusterKeys keys({{}, "echo >> " + runs + "; cat " + file});
    for (int i = 0; i < 3; ++i)
        keys.use(*repository, kCluster, false);
    EXPECT_EQ(read_file(runs, 100).size(), 1);
}

TEST_F(ClusterKeysTest, WhoCannotEncryptWritesNothing) {
    const std::string file = key_file("one");
    expect_error(ErrorCode::invalid_argument, [&] {
        prepare({true, {}, {}});
        return 0;
    });
    expect_error(ErrorCode::not_found, [&] {
        prepare({true, {file, {}}, {}});  // no keyring
        return 0;
    });
    make_keyring(file);
    expect_error(ErrorCode::invalid_key, [&] {
        prepare({true, {{}, "exit 1"}, {}});
        return 0;
    });
    expect_error(ErrorCode::invalid_argument, [&] {
        prepare({true, {}, "nonsense"});
        return 0;
    });
    EXPECT_FALSE(vault());
    prepare({true, {file, {}}, {}});
    EXPECT_TRUE(vault()->can_read());
    EXPECT_FALSE(takes_plain());
}

TEST_F(ClusterKeysTest, ARecipientIsWrittenForAndNotRead) {
    const OpenKeyring keyring = make_keyring(key_file("one"));
    const SecretBytes text = to_text(keyring.recipient());
    prepare({true, {}, std::string(reinterpret_cast<const char*>(text.data()), text.size())});
    ASSERT_TRUE(vault());
    EXPECT_FALSE(vault()->can_read());
    EXPECT_TRUE(only_writes(repository->store(), kCluster));
    EXPECT_FALSE(takes_plain());
}

TEST_F(ClusterKeysTest, NothingIsWrittenForWhomNobodyReads) {
    const auto text_of = [](const OpenKeyring& keyring) {
        const SecretBytes text = to_text(keyring.recipient());
        return std::string(reinterpret_cast<const char*>(text.data()), text.size());
    };
    const auto refused = [&](ErrorCode code, const std::string& recipients) {
        expect_error(code, [&] {
            prepare({true, {}, recipients});
            return 0;
        });
        EXPECT_FALSE(vault());
    };
    const std::string foreign =
        text_of(OpenKeyring::make(kCluster, {KeySecret::Type::key, SecretBytes(32, std::byte{7})}));
    refused(ErrorCode::not_found, foreign);  // no keyring
    const std::string own = text_of(make_keyring(key_file("one")));
    refused(ErrorCode::invalid_key, foreign);
    refused(ErrorCode::invalid_argument, own + "\n" + foreign);
    // The id of the one, the public half of the other.
    const size_t id = own.find(':') + 1;
    const size_t half = own.find(':', id);
    refused(ErrorCode::invalid_key, own.substr(0, half) + foreign.substr(half));
    prepare({true, {}, own});
    EXPECT_TRUE(vault());
}

TEST_F(ClusterKeysTest, WithEncryptionOffWhatIsEncryptedIsReadStill) {
    const std::string file = key_file("one");
    prepare({false, {}, {}});
    EXPECT_FALSE(vault());
    prepare({false, {file, {}}, {}});
    EXPECT_FALSE(vault());
    make_keyring(file);
    prepare({false, {file, {}}, {}});
    ASSERT_TRUE(vault());
    EXPECT_TRUE(vault()->can_read());
    EXPECT_TRUE(takes_plain());
}

}  // namespace
}  // namespace ark
