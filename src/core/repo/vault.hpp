#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/repo/frame_cipher.hpp"
#include "core/repo/object.hpp"
#include "core/repo/open_keyring.hpp"

namespace ark {

struct VaultOptions {
    /// New objects are encrypted. Without it, what was encrypted earlier is read still.
    bool encrypts = true;
    /// An object that is not encrypted is refused, rather than counted: who can write to the
    /// repository can put one there.
    bool refuses_plain = false;
};

/// What encrypts a cluster's objects and reads encrypted ones. Made once, where a job is set up,
/// and held by the store (repo/vault_store.hpp); the object layer finds it there. Thread-safe.
class Vault {
 public:
    /// Reads and writes. New objects are written under the keyring's current key.
    Vault(std::shared_ptr<const OpenKeyring> keyring, VaultOptions options = {});
    /// Writes to these (never none), and cannot read.
    explicit Vault(std::vector<Recipient> recipients, VaultOptions options = {});

    bool encrypts() const { return options_.encrypts; }
    bool can_read() const { return keyring_ != nullptr; }

    /// Makes of a plain object's header that of an encrypted one: names the cipher, adds a new data
    /// key, puts a tag in the digest's stead. Returns what the key of the frames is made of.
    SecretBytes begin_object(ObjectHeader& header) const;
    /// The cipher of an object's frames, as begin_object returned it and its header was encoded.
    FrameCipher cipher(const SecretBytes& data_key, Bytes header_digest) const;
    /// Of one that was stored. Error: invalid_key without its key; corrupt where the key does not
    /// fit what the header has.
    FrameCipher cipher(const ParsedHeader& parsed, const std::string& name) const;

    /// Tells contents of one name apart without telling what they are.
    std::string tag_of(const ObjectHeader& header, uint64_t plain_bytes, const Hash128& hash) const;

    /// A backup's marker was read: what else is below `directory` (place::backup) is encrypted as
    /// it is, or is not as it is not. A backup keeps the settings that it began with, so anything
    /// else was put there by somebody.
    void expect_below(const std::string& directory, bool is_encrypted) const;
    /// Before an object is read, at whose name it lies: `place` is what it is asked for by. Counts
    /// one that is not encrypted. Error: corrupt where its backup is otherwise; refused where it is
    /// not encrypted and that is not accepted.
    void check_is_encrypted(bool is_encrypted, const std::string& place,
                            const std::string& name) const;
    uint64_t plain_objects() const { return plain_objects_; }

 private:
    SecretBytes data_key_of(const ObjectHeader& header, const std::string& name) const;
    std::optional<bool> expected_at(const std::string& place) const;

    const VaultOptions options_;
    const std::shared_ptr<const OpenKeyring> keyring_;
    const std::vector<Recipient> recipients_;
    SecretBytes tag_key_;
    SecretBytes frames_key_;
    mutable std::atomic<uint64_t> plain_objects_ = 0;
    mutable std::mutex mutex_;
    mutable std::map<std::string, bool> expected_;  ///< by a backup's directory; under mutex_
};

/// The cipher that a stored object's frames are opened with: nullptr for one that is not encrypted,
/// which is counted. The header's place is the one that it was asked for. Error: as Vault::cipher
/// and Vault::check_is_encrypted; invalid_key where there is no vault.
std::unique_ptr<FrameCipher> cipher_of(const Vault* vault, const ParsedHeader& parsed,
                                       const std::string& name);

}  // namespace ark
