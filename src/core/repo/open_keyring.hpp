#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/crypto/hpke.hpp"
#include "core/repo/keyring.hpp"

namespace ark {

/// A keyring and what a secret has opened in it: every key's root. It can be changed, and sealed as
/// the next generation; nothing is stored here (repo/stored_keyring.hpp). One thread to change it;
/// what is const may be called by several.
class OpenKeyring {
 public:
    /// A new one with one key, which `secret` opens.
    static OpenKeyring make(const std::string& cluster, const KeySecret& secret,
                            const ScryptCost& cost = {});
    /// Error: invalid_key where the secret opens no slot, or none of the current key; corrupt where
    /// it opens one and the keyring is not what its MAC says.
    static OpenKeyring open(const Keyring& keyring, const KeySecret& secret);

    const Keyring& keyring() const { return keyring_; }
    /// The slot that the secret belongs to.
    uint32_t slot() const { return slots_.front().number; }
    /// Keys the tags by which objects are told equal, and goes into each object's key. It stays the
    /// same as long as there is the keyring.
    ByteView identity() const { return identity_; }
    /// The current key, for a host that shall write and not read.
    Recipient recipient() const;

    /// One more secret for all keys; its slot's number. Error: already_exists where it opens a slot
    /// now; refused where there is no room.
    uint32_t add_slot(const KeySecret& secret, const ScryptCost& cost = {});
    /// Error: not_found; refused for slot().
    void remove_slot(uint32_t number);
    /// A new key becomes the current one. It is opened by the slot of this secret and by those of
    /// `others`; every slot that nobody brought a secret for keeps to the older keys, and is
    /// returned. Error: invalid_key where one of the others opens no slot.
    std::vector<uint32_t> rotate(const std::vector<KeySecret>& others = {});

    /// The next generation's text, its MAC made.
    std::string seal_next(const Writer& writer);

    /// For an object's header: the data key under the current key.
    Bytes wrap_data_key(ByteView data_key) const;
    /// And back, under the key that the header names. nullopt where it does not fit the key. Error:
    /// invalid_key where the keyring has no such key.
    std::optional<SecretBytes> unwrap_data_key(const std::string& key_id, ByteView wrapped) const;
    std::optional<SecretBytes> open_data_key(const std::string& key_id, const HpkeMessage& sealed,
                                             std::string_view info, ByteView aad) const;

 private:
    struct OpenSlot {
        uint32_t number = 0;
        SecretBytes key;  ///< that wraps the roots
    };

    OpenKeyring() = default;
    const SecretBytes& root_of(const std::string& key_id) const;
    void open_roots();
    void check_mac() const;
    void wrap_roots(const OpenSlot& slot);
    void add_key();
    OpenSlot make_slot(const KeySecret& secret, const ScryptCost& cost);
    static std::optional<OpenSlot> find_slot(const Keyring& keyring, const KeySecret& secret);

    Keyring keyring_;
    std::vector<OpenSlot> slots_;  ///< the opened one first
    std::map<std::string, SecretBytes> roots_;
    SecretBytes identity_;
};

}  // namespace ark
