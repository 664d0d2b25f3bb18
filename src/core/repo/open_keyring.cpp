#include "core/repo/open_keyring.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "core/crypto/aes.hpp"
#include "core/crypto/x25519.hpp"

namespace ark {

namespace {

// Each use of a root has a key of its own.
SecretBytes wrap_key_of(const SecretBytes& root) {
    return derive_key(root, "pg_ark/1 wrap");
}
SecretBytes private_key_of(const SecretBytes& root) {
    return derive_key(root, "pg_ark/1 x25519");
}
SecretBytes identity_key_of(const SecretBytes& root) {
    return derive_key(root, "pg_ark/1 identity");
}
Bytes mac_of(const SecretBytes& root, std::string_view text) {
    return hmac_sha256(derive_key(root, "pg_ark/1 keyring"), as_bytes(text));
}

SecretBytes slot_key(const KeySlot& slot, const KeySecret& secret) {
    if (slot.type == KeySecret::Type::key)
        return derive_key(secret.bytes, "pg_ark/1 slot");
    return scrypt(secret.bytes, slot.salt, slot.cost, kKeyBytes);
}

std::string name_of(const Keyring& keyring) {
    return "keyring " + std::to_string(keyring.generation) + " of cluster \"" + keyring.cluster +
           "\"";
}

Error damaged(const Keyring& keyring, const std::string& what) {
    return {ErrorCode::corrupt, name_of(keyring) + " is damaged", what,
            "It was changed by somebody without its keys, or by a fault of the store: put back a "
            "copy of it."};
}

}  // namespace

OpenKeyring OpenKeyring::make(const std::string& cluster, const KeySecret& secret,
                              const ScryptCost& cost) {
    OpenKeyring out;
    out.keyring_.cluster = cluster;
    out.identity_ = random_secret(kKeyBytes);
    out.slots_.push_back(out.make_slot(secret, cost));
    out.add_key();
    return out;
}

// A slot is opened where one of the roots in it can be unwrapped.
std::optional<OpenKeyring::OpenSlot> OpenKeyring::find_slot(const Keyring& keyring,
                                                            const KeySecret& secret) {
    for (const KeySlot& slot : keyring.slots) {
        if (slot.type != secret.type)
            continue;
        OpenSlot open{slot.number, slot_key(slot, secret)};
        for (const StoredKey& key : keyring.keys) {
            const auto root = key.roots.find(slot.number);
            if (root != key.roots.end() && unwrap_key(open.key, root->second))
                return open;
        }
    }
    return std::nullopt;
}

OpenKeyring OpenKeyring::open(const Keyring& keyring, const KeySecret& secret) {
    std::optional<OpenSlot> slot = find_slot(keyring, secret);
    if (!slot) {
        throw Error(ErrorCode::invalid_key, "the key does not open any slot of " + name_of(keyring),
                    "It was made by " + describe(keyring.writer) + ".",
                    "Use the key, or the passphrase, that belongs to this cluster.");
    }
    if (!keyring.find(keyring.current)->roots.contains(slot->number)) {
        throw Error(ErrorCode::invalid_key, "the key opens only older keys of " + name_of(keyring),
                    "It belongs to slot " + std::to_string(slot->number) +
                        ", for which nobody brought the secret when key " + keyring.current +
                        " was made.",
                    "Use the key that the keyring was rotated with.");
    }
    OpenKeyring out;
    out.keyring_ = keyring;
    out.slots_.push_back(std::move(*slot));
    out.open_roots();
    out.check_mac();
    return out;
}

// The MAC is not checked yet: what does not fit is an error, and nothing is handed out.
void OpenKeyring::open_roots() {
    for (const StoredKey& key : keyring_.keys) {
        const auto wrapped = key.roots.find(slot());
        std::optional<SecretBytes> root = wrapped == key.roots.end()
                                              ? std::nullopt
                                              : unwrap_key(slots_.front().key, wrapped->second);
        if (!root)
            throw damaged(keyring_, "Key " + key.id + " is not what its slot says.");
        const auto identity = unwrap_key(identity_key_of(*root), key.identity);
        if (!identity || (!identity_.empty() && identity_ != *identity) ||
            key.public_key != x25519_public(private_key_of(*root))) {
            throw damaged(keyring_, "What belongs to key " + key.id + " is not its own.");
        }
        identity_ = *identity;
        roots_[key.id] = std::move(*root);
    }
}

// Under the current key and not the identity key, which every recipient has: a host that may only
// write must not be able to say which keys there are.
void OpenKeyring::check_mac() const {
    if (!equal_in_constant_time(keyring_.mac,
                                mac_of(root_of(keyring_.current), keyring_.sealed_text))) {
        throw damaged(keyring_, "Its content does not match its MAC.");
    }
}

const SecretBytes& OpenKeyring::root_of(const std::string& key_id) const {
    const auto root = roots_.find(key_id);
    if (root != roots_.end())
        return root->second;
    throw Error(ErrorCode::invalid_key, "key " + key_id + " is not in " + name_of(keyring_),
                "An object was written under it.",
                "Use the keyring of the cluster that the object is of.");
}

Recipient OpenKeyring::recipient() const {
    return {keyring_.current, keyring_.find(keyring_.current)->public_key, identity_};
}

OpenKeyring::OpenSlot OpenKeyring::make_slot(const KeySecret& secret, const ScryptCost& cost) {
    if (keyring_.slots.size() == kMaxKeySlots) {
        throw Error(ErrorCode::refused,
                    "a keyring has at most " + std::to_string(kMaxKeySlots) + " slots", {},
                    "Remove one that is not used any more.");
    }
    KeySlot slot;
    for (const KeySlot& other : keyring_.slots)
        slot.number = std::max(slot.number, other.number);
    ++slot.number;
    slot.type = secret.type;
    if (slot.type == KeySecret::Type::passphrase) {
        slot.cost = cost;
        slot.salt = random_bytes(16);
    }
    keyring_.slots.push_back(slot);
    return {slot.number, slot_key(slot, secret)};
}

void OpenKeyring::wrap_roots(const OpenSlot& slot) {
    for (StoredKey& key : keyring_.keys)
        key.roots[slot.number] = wrap_key(slot.key, roots_.at(key.id));
}

void OpenKeyring::add_key() {
    if (keyring_.keys.size() == kMaxKeys) {
        throw Error(ErrorCode::refused,
                    "a keyring has at most " + std::to_string(kMaxKeys) + " keys");
    }
    StoredKey key;
    key.id = make_key_id();
    key.created_at = now_micros();
    SecretBytes root = random_secret(kKeyBytes);
    key.public_key = x25519_public(private_key_of(root));
    key.identity = wrap_key(identity_key_of(root), identity_);
    keyring_.current = key.id;
    roots_[key.id] = std::move(root);
    keyring_.keys.push_back(std::move(key));
    for (const OpenSlot& slot : slots_)
        wrap_roots(slot);
}

uint32_t OpenKeyring::add_slot(const KeySecret& secret, const ScryptCost& cost) {
    if (const auto there = find_slot(keyring_, secret)) {
        throw Error(ErrorCode::already_exists,
                    "the key opens slot " + std::to_string(there->number) + " already");
    }
    const OpenSlot slot = make_slot(secret, cost);
    wrap_roots(slot);
    return slot.number;
}

void OpenKeyring::remove_slot(uint32_t number) {
    const auto is_it = [&](const auto& slot) { return slot.number == number; };
    if (std::ranges::none_of(keyring_.slots, is_it)) {
        throw Error(ErrorCode::not_found,
                    "slot " + std::to_string(number) + " is not in " + name_of(keyring_));
    }
    // So there is always one left that opens every key.
    if (number == slot()) {
        throw Error(ErrorCode::refused,
                    "slot " + std::to_string(number) + " belongs to the key that is in use", {},
                    "Use the key that shall stay, to remove the other one.");
    }
    std::erase_if(keyring_.slots, is_it);
    for (StoredKey& key : keyring_.keys)
        key.roots.erase(number);
}

std::vector<uint32_t> OpenKeyring::rotate(const std::vector<KeySecret>& others) {
    for (const KeySecret& other : others) {
        std::optional<OpenSlot> slot = find_slot(keyring_, other);
        if (!slot) {
            throw Error(ErrorCode::invalid_key,
                        "a key does not open any slot of " + name_of(keyring_), {},
                        "Add a slot for it first.");
        }
        slots_.push_back(std::move(*slot));
    }
    add_key();
    slots_.resize(1);
    std::vector<uint32_t> left;
    for (const KeySlot& slot : keyring_.slots) {
        if (!keyring_.keys.back().roots.contains(slot.number))
            left.push_back(slot.number);
    }
    return left;
}

std::string OpenKeyring::seal_next(const Writer& writer) {
    ++keyring_.generation;
    keyring_.created_at = writer.time;
    keyring_.writer = writer;
    keyring_.sealed_text = keyring_body(keyring_);
    keyring_.mac = mac_of(root_of(keyring_.current), keyring_.sealed_text);
    return keyring_text(keyring_.sealed_text, keyring_.mac);
}

Bytes OpenKeyring::wrap_data_key(ByteView data_key) const {
    return wrap_key(wrap_key_of(root_of(keyring_.current)), data_key);
}

std::optional<SecretBytes> OpenKeyring::unwrap_data_key(const std::string& key_id,
                                                        ByteView wrapped) const {
    return unwrap_key(wrap_key_of(root_of(key_id)), wrapped);
}

std::optional<SecretBytes> OpenKeyring::open_data_key(const std::string& key_id,
                                                      const HpkeMessage& sealed,
                                                      std::string_view info, ByteView aad) const {
    return hpke_open(private_key_of(root_of(key_id)), info, aad, sealed);
}

}  // namespace ark
