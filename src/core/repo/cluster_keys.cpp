#include "core/repo/cluster_keys.hpp"

#include <utility>

#include "core/base/error.hpp"
#include "core/repo/stored_keyring.hpp"

namespace ark {

namespace {

Error no_keyring(const std::string& cluster) {
    return {ErrorCode::not_found, "cluster \"" + cluster + "\" has no encryption keys",
            "There is no keyring in its directory \"" + std::string(place::kKeys) + "\".",
            "Make one with \"pg_ark key create --cluster " + cluster + "\"."};
}

// What is sealed to anybody else is lost.
void check_recipient(const Recipient& recipient, const Keyring& keyring) {
    const StoredKey* key = keyring.find(recipient.key_id);
    if (key != nullptr && key->public_key == recipient.public_key)
        return;
    throw Error(ErrorCode::invalid_key,
                "a recipient of encryption is not one of the cluster's: nobody could read what is "
                "written for it",
                key == nullptr
                    ? "Cluster \"" + keyring.cluster + "\" has no key " + recipient.key_id + "."
                    : "It has not key " + recipient.key_id + "'s own public half.",
                "Name what \"pg_ark key export-recipient\" prints for this cluster.");
}

std::vector<Recipient> recipients_of(ObjectStore& store, const std::string& cluster,
                                     const std::string& text) {
    std::vector<Recipient> recipients = parse_recipients(text);
    const std::optional<Keyring> keyring = find_keyring(store, cluster);
    if (!keyring) {
        throw Error(ErrorCode::not_found,
                    "cluster \"" + cluster + "\" has no encryption keys for its recipients",
                    "Nobody could read what is written for them.", no_keyring(cluster).hint);
    }
    for (const Recipient& recipient : recipients)
        check_recipient(recipient, *keyring);
    return recipients;
}

}  // namespace

const KeySecret& ClusterKeys::secret() {
    if (!secret_)
        secret_ = read_key_secret(source_);
    return *secret_;
}

std::optional<OpenKeyring> ClusterKeys::open(ObjectStore& store, const std::string& cluster) {
    const std::optional<Keyring> keyring = find_keyring(store, cluster);
    if (!keyring)
        return std::nullopt;
    return OpenKeyring::open(*keyring, secret());
}

void ClusterKeys::use(Repository& repository, const std::string& cluster, bool refuses_plain) {
    if (!source_.is_given()) {
        if (refuses_plain)
            throw Error(ErrorCode::invalid_argument, "--require-encryption needs a key", {},
                        "Name it with --key-file or --key-command.");
        return;
    }
    std::optional<OpenKeyring> keyring = open(repository.store(), cluster);
    if (!keyring) {
        if (refuses_plain)
            throw no_keyring(cluster);
        return;
    }
    repository.use_vault(cluster, std::make_shared<const Vault>(
                                      std::make_shared<const OpenKeyring>(std::move(*keyring)),
                                      VaultOptions{.refuses_plain = refuses_plain}));
}

void prepare_encryption(Repository& repository, const std::string& cluster,
                        const EncryptionWish& wish) {
    const VaultOptions options{.encrypts = wish.encrypts};
    if (wish.source.is_given()) {
        std::optional<OpenKeyring> keyring =
            ClusterKeys(wish.source).open(repository.store(), cluster);
        if (!keyring && wish.encrypts)
            throw no_keyring(cluster);
        if (keyring) {
            repository.use_vault(
                cluster, std::make_shared<const Vault>(
                             std::make_shared<const OpenKeyring>(std::move(*keyring)), options));
        }
        return;
    }
    if (!wish.recipients.empty()) {
        repository.use_vault(
            cluster, std::make_shared<const Vault>(
                         recipients_of(repository.store(), cluster, wish.recipients), options));
        return;
    }
    if (wish.encrypts) {
        throw Error(ErrorCode::invalid_argument, "encryption is on and there is no key",
                    "Nothing is written that is not encrypted.",
                    "Set pg_ark.encryption_key_file, pg_ark.encryption_key_command or "
                    "pg_ark.encryption_recipients.");
    }
}

}  // namespace ark
