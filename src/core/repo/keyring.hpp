#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.hpp"
#include "core/crypto/kdf.hpp"
#include "core/repo/key_secret.hpp"
#include "core/repo/object.hpp"

namespace ark {

/// One secret that opens the keyring: how it becomes the key that roots are wrapped under.
struct KeySlot {
    uint32_t number = 0;  ///< from 1; never used again
    KeySecret::Type type = KeySecret::Type::key;
    ScryptCost cost;  ///< of a passphrase
    Bytes salt;       ///< likewise; 16 bytes
};

/// A key as it is stored: nothing here is secret.
struct StoredKey {
    std::string id;  ///< 16 hexadecimal digits
    UnixMicros created_at = 0;
    Bytes public_key;                 ///< X25519
    Bytes identity;                   ///< the identity key, wrapped under this key
    std::map<uint32_t, Bytes> roots;  ///< the key's root, wrapped for each slot that opens it
};

/// keys/<generation>.json, docs/repository-format.md "Keys". The highest generation counts.
struct Keyring {
    uint64_t generation = 0;
    std::string cluster;
    UnixMicros created_at = 0;  ///< of this generation
    Writer writer;
    std::string current;  ///< id of the key that new objects are written under
    std::vector<KeySlot> slots;
    std::vector<StoredKey> keys;  ///< oldest first

    /// What was read: the text that the MAC is of, and the MAC. Who opens the keyring checks it.
    std::string sealed_text;
    Bytes mac;

    const StoredKey* find(const std::string& id) const;
};

constexpr size_t kMaxKeyringBytes = 1 << 20;
constexpr size_t kMaxKeySlots = 16;
constexpr size_t kMaxKeys = 256;
/// What the work on one guess of a passphrase may take, whoever wrote the keyring: 1 GiB.
constexpr uint64_t kMaxScryptMemory = uint64_t{1} << 30;

/// The text but for the MAC and the checksum.
std::string keyring_body(const Keyring& keyring);
/// The object: both added. The checksum tells damage from a wrong key to whoever has none.
std::string keyring_text(const std::string& body, ByteView mac);

/// Error: corrupt for anything that is not exactly a keyring; unsupported for a newer format.
/// Nothing in it is to be relied upon before its MAC was checked.
Keyring parse_keyring(std::string_view text, const std::string& name);

}  // namespace ark
