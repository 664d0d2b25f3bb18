#include "core/repo/stored_keyring.hpp"

#include <algorithm>
#include <charconv>

#include "core/base/error.hpp"
#include "core/repo/repository.hpp"

namespace ark {

namespace {

// 0 for a name that is none of a keyring.
uint64_t generation_of(const std::string& name) {
    uint64_t number = 0;
    std::from_chars(name.data(), name.data() + name.size(), number);
    return std::to_string(number) + ".json" == name ? number : 0;
}

Keyring parse_stored(const Bytes& content, const std::string& name, const std::string& cluster,
                     uint64_t generation) {
    Keyring keyring = parse_keyring(as_text(content), name);
    if (keyring.generation != generation || keyring.cluster != cluster) {
        throw Error(ErrorCode::corrupt, "object \"" + name + "\" is in the wrong place",
                    "It is keyring " + std::to_string(keyring.generation) + " of cluster \"" +
                        keyring.cluster + "\".");
    }
    return keyring;
}

}  // namespace

std::optional<Keyring> find_keyring(ObjectStore& store, const std::string& cluster) {
    // A listing may lag, so it says only where to begin.
    uint64_t highest = 0;
    for (const std::string& name : store.list_parts(cluster + "/" + place::kKeys))
        highest = std::max(highest, generation_of(name));
    std::optional<Bytes> content;
    for (uint64_t generation = std::max<uint64_t>(highest, 1);; ++generation) {
        std::optional<Bytes> next =
            store.get(cluster + "/" + place::keyring(generation), kMaxKeyringBytes);
        if (!next)
            break;
        content = std::move(next);
        highest = generation;
    }
    if (!content) {
        if (highest == 0)
            return std::nullopt;
        throw Error(ErrorCode::unavailable,
                    "object \"" + cluster + "/" + place::keyring(highest) + "\" came and went");
    }
    return parse_stored(*content, cluster + "/" + place::keyring(highest), cluster, highest);
}

void store_next_keyring(ObjectStore& store, OpenKeyring& keyring, const Writer& writer) {
    const std::string text = keyring.seal_next(writer);
    const std::string name =
        keyring.keyring().cluster + "/" + place::keyring(keyring.keyring().generation);
    if (store.put_if_absent(name, as_bytes(text)) == PutResult::created)
        return;
    const std::optional<Bytes> there = store.get(name, kMaxKeyringBytes);
    if (!there)
        throw Error(ErrorCode::unavailable, "object \"" + name + "\" came and went");
    if (std::ranges::equal(*there, as_bytes(text))) {  // the reply to the first try was lost
        store.make_durable(name);
        return;
    }
    const Keyring other = parse_keyring(as_text(*there), name);
    throw Error(ErrorCode::conflict,
                "another host made keyring " + std::to_string(other.generation) + " of cluster \"" +
                    other.cluster + "\" at the same time",
                "It was made by " + describe(other.writer) + ".",
                "Nothing of this change was kept. Make it again, if it is still wanted.");
}

}  // namespace ark
