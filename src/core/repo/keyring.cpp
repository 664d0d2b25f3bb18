#include "core/repo/keyring.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <set>

#include "core/base/error.hpp"
#include "core/crypto/base64.hpp"
#include "core/pipeline/digest.hpp"
#include "core/repo/json_text.hpp"

namespace ark {

namespace {

using nlohmann::json;

constexpr int kFormat = 1;
constexpr size_t kSaltBytes = 16;
constexpr size_t kWrappedBytes = kKeyBytes + 8;
constexpr size_t kMacBytes = 32;
constexpr const char* kEnd = "\"\n}\n";

json::type_error invalid(const std::string& what) {
    return json::type_error::create(302, what, nullptr);
}

Bytes bytes_of_json(const json& object, const char* key, size_t size) {
    const SecretBytes bytes = exact_base64(member<std::string>(object, key), size);
    if (bytes.empty())
        throw invalid(std::string(key) + ": not " + std::to_string(size) + " bytes in base64");
    return {bytes.begin(), bytes.end()};
}

UnixMicros time_of_json(const json& object, const char* key) {
    const auto time = parse_time(member<std::string>(object, key), false);
    if (!time)
        throw invalid(std::string(key) + ": not a time");
    return *time;
}

const json& list_of(const json& object, const char* key, size_t limit) {
    const json& list = object.at(key);
    if (!list.is_array() || list.empty() || list.size() > limit)
        throw invalid(std::string(key) + ": not a list of 1 to " + std::to_string(limit));
    return list;
}

json json_of_slot(const KeySlot& slot) {
    if (slot.type == KeySecret::Type::key)
        return {{"slot", slot.number}, {"type", "key"}};
    return {{"slot", slot.number},
            {"type", "passphrase"},
            {"kdf", "scrypt"},
            {"n", slot.cost.n},
            {"r", slot.cost.r},
            {"p", slot.cost.p},
            {"salt", to_base64(slot.salt)}};
}

// An attacker chooses these numbers: what they ask for is bounded before it is done.
void check_cost(const ScryptCost& cost) {
    if (!std::has_single_bit(cost.n) || cost.n < 2 || cost.n > (1 << 20) || cost.r < 1 ||
        cost.r > 16 || cost.p < 1 || cost.p > 4 || 128 * cost.n * cost.r > kMaxScryptMemory) {
        throw invalid("n, r, p: not a cost of scrypt, or one out of bounds");
    }
}

KeySlot slot_of_json(const json& j) {
    KeySlot slot;
    slot.number = member<uint32_t>(j, "slot");
    const auto type = member<std::string>(j, "type");
    if (type == "key")
        return slot;
    if (type != "passphrase" || member<std::string>(j, "kdf") != "scrypt")
        throw invalid("type, kdf: unknown");
    slot.type = KeySecret::Type::passphrase;
    slot.cost = {member<uint64_t>(j, "n"), member<uint32_t>(j, "r"), member<uint32_t>(j, "p")};
    check_cost(slot.cost);
    slot.salt = bytes_of_json(j, "salt", kSaltBytes);
    return slot;
}

json json_of_key(const StoredKey& key) {
    json out{{"id", key.id},
             {"created_at", to_iso8601(key.created_at)},
             {"x25519", to_base64(key.public_key)},
             {"identity", to_base64(key.identity)},
             {"roots", json::array()}};
    for (const auto& [slot, wrapped] : key.roots)
        out["roots"].push_back({{"slot", slot}, {"wrapped", to_base64(wrapped)}});
    return out;
}

StoredKey key_of_json(const json& j) {
    StoredKey key;
    key.id = member<std::string>(j, "id");
    if (!is_key_id(key.id))
        throw invalid("id: not a key's id");
    key.created_at = time_of_json(j, "created_at");
    key.public_key = bytes_of_json(j, "x25519", kKeyBytes);
    key.identity = bytes_of_json(j, "identity", kWrappedBytes);
    for (const json& root : list_of(j, "roots", kMaxKeySlots)) {
        const auto slot = member<uint32_t>(root, "slot");
        if (!key.roots.emplace(slot, bytes_of_json(root, "wrapped", kWrappedBytes)).second)
            throw invalid("roots: a slot is there twice");
    }
    return key;
}

void check_whole(const Keyring& keyring) {
    std::set<uint32_t> slots;
    for (const KeySlot& slot : keyring.slots) {
        if (slot.number == 0 || !slots.insert(slot.number).second)
            throw invalid("slot: not a number, or there twice");
    }
    std::set<std::string> ids;
    for (const StoredKey& key : keyring.keys) {
        if (!ids.insert(key.id).second)
            throw invalid("id: there twice");
        for (const auto& root : key.roots) {
            if (!slots.contains(root.first))
                throw invalid("roots: a slot is unknown");
        }
    }
    if (!ids.contains(keyring.current))
        throw invalid("current: no such key");
}

Keyring keyring_of_json(const json& j, const std::string& name) {
    if (member<int>(j, "pg_ark_keys") != kFormat) {
        throw Error(ErrorCode::unsupported,
                    "keyring \"" + name + "\" has a format that this version does not read", {},
                    "Use a newer pg_ark.");
    }
    Keyring out;
    out.generation = member<uint64_t>(j, "generation");
    out.cluster = member<std::string>(j, "cluster");
    out.created_at = time_of_json(j, "created_at");
    const json& writer = j.at("writer");
    out.writer.host = text_member(writer, "host");
    out.writer.boot_id = text_member(writer, "boot_id");
    out.writer.data_directory = text_member(writer, "data_directory");
    out.writer.time = out.created_at;
    out.current = member<std::string>(j, "current");
    for (const json& slot : list_of(j, "slots", kMaxKeySlots))
        out.slots.push_back(slot_of_json(slot));
    for (const json& key : list_of(j, "keys", kMaxKeys))
        out.keys.push_back(key_of_json(key));
    out.mac = bytes_of_json(j, "mac", kMacBytes);
    check_whole(out);
    return out;
}

std::string with_mac(const std::string& body, ByteView mac) {
    return body + ",\n  \"mac\": \"" + to_base64(mac) + "\"";
}

std::string with_checksum(const std::string& text) {
    return text + ",\n  \"sha256\": \"" + sha256_hex(as_bytes(text)) + kEnd;
}

// The text before the last comma.
std::string before_last(std::string_view text) {
    const size_t comma = text.rfind(',');
    return std::string(text.substr(0, comma == std::string_view::npos ? 0 : comma));
}

}  // namespace

const StoredKey* Keyring::find(const std::string& id) const {
    const auto found =
        std::ranges::find_if(keys, [&](const StoredKey& key) { return key.id == id; });
    return found == keys.end() ? nullptr : &*found;
}

std::string keyring_body(const Keyring& k) {
    json j{{"pg_ark_keys", kFormat},
           {"generation", k.generation},
           {"cluster", k.cluster},
           {"created_at", to_iso8601(k.created_at)},
           {"writer",
            {{"host", json_of_text(k.writer.host)},
             {"boot_id", json_of_text(k.writer.boot_id)},
             {"data_directory", json_of_text(k.writer.data_directory)}}},
           {"current", k.current},
           {"slots", json::array()},
           {"keys", json::array()}};
    for (const KeySlot& slot : k.slots)
        j["slots"].push_back(json_of_slot(slot));
    for (const StoredKey& key : k.keys)
        j["keys"].push_back(json_of_key(key));
    std::string text = j.dump(2);
    text.erase(text.rfind("\n}"));
    return text;
}

std::string keyring_text(const std::string& body, ByteView mac) {
    return with_checksum(with_mac(body, mac));
}

Keyring parse_keyring(std::string_view text, const std::string& name) {
    const std::string authenticated = before_last(text);
    if (text.size() > kMaxKeyringBytes || text != with_checksum(authenticated)) {
        throw Error(ErrorCode::corrupt, "invalid content in \"" + name + "\"",
                    "It is not what its checksum says.",
                    "Without a keyring nothing that was encrypted can be read: put back a copy of "
                    "this object.");
    }
    return with_parsed_json(text, name, [&](const json& j) {
        Keyring out = keyring_of_json(j, name);
        out.sealed_text = before_last(authenticated);
        if (with_mac(out.sealed_text, out.mac) != authenticated)
            throw invalid("mac: not in its place");
        return out;
    });
}

}  // namespace ark
