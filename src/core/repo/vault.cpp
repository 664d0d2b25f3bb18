#include "core/repo/vault.hpp"

#include <string_view>
#include <utility>

#include "core/base/error.hpp"
#include "core/crypto/kdf.hpp"

namespace ark {

namespace {

constexpr const char* kDataKeyInfo = "pg_ark/1 data key";
// docs/repository-format.md "Layout".
constexpr std::string_view kBackupBegin = "backup/";
constexpr std::string_view kEvidenceBegin = "/tests/";

ByteView identity_of(const std::vector<Recipient>& recipients) {
    if (recipients.empty())
        throw Error(ErrorCode::internal, "a vault has nobody to write for");
    return recipients.front().identity;
}

Error no_key(const std::string& name, const ObjectHeader& header, const std::string& detail) {
    std::string keys;
    for (const WrappedDataKey& key : header.data_keys)
        keys += (keys.empty() ? "" : ", ") + key.key_id;
    return {ErrorCode::invalid_key, "object \"" + name + "\" is encrypted",
            detail + " It was written under " + (header.data_keys.size() == 1 ? "key " : "keys ") +
                keys + ".",
            "Name where the key is: --key-file or --key-command; for a server "
            "pg_ark.encryption_key_file or pg_ark.encryption_key_command."};
}

}  // namespace

Vault::Vault(std::shared_ptr<const OpenKeyring> keyring, VaultOptions options)
    : options_(options),
      keyring_(std::move(keyring)),
      tag_key_(derive_key(keyring_->identity(), "pg_ark/1 equality")),
      frames_key_(derive_key(keyring_->identity(), "pg_ark/1 frames")) {}

Vault::Vault(std::vector<Recipient> recipients, VaultOptions options)
    : options_(options),
      recipients_(std::move(recipients)),
      tag_key_(derive_key(identity_of(recipients_), "pg_ark/1 equality")),
      frames_key_(derive_key(identity_of(recipients_), "pg_ark/1 frames")) {}

SecretBytes Vault::begin_object(ObjectHeader& header) const {
    SecretBytes data_key = random_secret(kKeyBytes);
    header.cipher = kCipherAesGcm;
    if (header.hash.is_known())
        header.tag = tag_of(header, header.plain_bytes.value_or(0), header.hash);
    header.hash = {};
    header.data_keys.clear();
    if (keyring_) {
        header.data_keys.push_back(
            {keyring_->keyring().current, keyring_->wrap_data_key(data_key), {}});
    }
    for (const Recipient& recipient : recipients_) {
        header.data_keys.push_back(
            {recipient.key_id,
             {},
             hpke_seal(recipient.public_key, kDataKeyInfo, as_bytes(header.place), data_key)});
    }
    return data_key;
}

// With a key in it that is the cluster's own: whoever knows a public key could seal a data key to
// it, and so make objects; only readers and recipients know this one.
FrameCipher Vault::cipher(const SecretBytes& data_key, Bytes header_digest) const {
    const SecretBytes key = hkdf(frames_key_, data_key, as_bytes("pg_ark/1 object"), kKeyBytes);
    return {key, std::move(header_digest)};
}

FrameCipher Vault::cipher(const ParsedHeader& parsed, const std::string& name) const {
    return cipher(data_key_of(parsed.header, name), parsed.digest);
}

SecretBytes Vault::data_key_of(const ObjectHeader& header, const std::string& name) const {
    if (!keyring_)
        throw no_key(name, header, "Who has recipients alone writes, and cannot read.");
    for (const WrappedDataKey& key : header.data_keys) {
        if (keyring_->keyring().find(key.key_id) == nullptr)
            continue;
        std::optional<SecretBytes> data_key =
            key.wrapped.empty() ? keyring_->open_data_key(key.key_id, key.sealed, kDataKeyInfo,
                                                          as_bytes(header.place))
                                : keyring_->unwrap_data_key(key.key_id, key.wrapped);
        if (data_key && data_key->size() == kKeyBytes)
            return std::move(*data_key);
        throw Error(ErrorCode::corrupt, "object \"" + name + "\" is damaged",
                    "Its data key is not what was wrapped under key " + key.key_id + ".");
    }
    throw no_key(name, header,
                 "Keyring " + std::to_string(keyring_->keyring().generation) +
                     " of the cluster has none of its keys.");
}

std::string Vault::tag_of(const ObjectHeader& header, uint64_t plain_bytes,
                          const Hash128& hash) const {
    std::string text = name_of(header.kind);
    text.push_back('\0');
    text += header.place;
    text.push_back('\0');
    text += std::to_string(plain_bytes);
    text.push_back('\0');
    text += to_text(hash);
    return to_hex(hmac_sha256(tag_key_, as_bytes(text)));
}

void Vault::expect_below(const std::string& directory, bool is_encrypted) const {
    const std::lock_guard lock(mutex_);
    expected_[directory] = is_encrypted;
}

// Evidence comes later, and is as things are then.
std::optional<bool> Vault::expected_at(const std::string& place) const {
    const size_t id = place.find('/') + 1;
    const size_t id_end = place.find('/', id);
    if (!place.starts_with(kBackupBegin) || id_end == std::string::npos ||
        place.compare(id_end, kEvidenceBegin.size(), kEvidenceBegin) == 0)
        return std::nullopt;
    const std::lock_guard lock(mutex_);
    const auto found = expected_.find(place.substr(0, id_end));
    return found == expected_.end() ? std::nullopt : std::optional(found->second);
}

void Vault::check_is_encrypted(bool is_encrypted, const std::string& place,
                               const std::string& name) const {
    if (!is_encrypted)
        ++plain_objects_;
    if (expected_at(place).value_or(is_encrypted) != is_encrypted) {
        throw Error(ErrorCode::corrupt, "object \"" + name + "\" is damaged",
                    is_encrypted ? "It is encrypted, and the marker of its backup is not: one of "
                                   "them was put there by somebody."
                                 : "It is not encrypted, and its backup is: somebody put it there.",
                    "Restore another backup, and find out who can write to the repository.");
    }
    if (!is_encrypted && options_.refuses_plain) {
        throw Error(ErrorCode::refused, "object \"" + name + "\" is not encrypted",
                    "Only what is encrypted is read.",
                    "Anybody who can write to the repository could have put it there. If it was "
                    "written before encryption was turned on, do without --require-encryption.");
    }
}

std::unique_ptr<FrameCipher> cipher_of(const Vault* vault, const ParsedHeader& parsed,
                                       const std::string& name) {
    const bool is_encrypted = parsed.header.is_encrypted();
    if (vault != nullptr)
        vault->check_is_encrypted(is_encrypted, parsed.header.place, name);
    if (!is_encrypted)
        return nullptr;
    if (vault == nullptr)
        throw no_key(name, parsed.header, "No key was given.");
    return std::make_unique<FrameCipher>(vault->cipher(parsed, name));
}

}  // namespace ark
