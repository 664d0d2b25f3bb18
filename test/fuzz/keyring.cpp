#include "core/repo/keyring.hpp"

#include "core/pipeline/digest.hpp"
#include "core/repo/open_keyring.hpp"
#include "test/fuzz/target.hpp"

namespace ark::fuzz {
namespace {

KeySecret secret() {
    return {KeySecret::Type::key, SecretBytes(32, std::byte{1})};
}
KeySecret passphrase() {
    return {KeySecret::Type::passphrase, secret_copy("correct horse")};
}

std::vector<Bytes> seeds() {
    constexpr ScryptCost kCheap{16, 8, 1};
    OpenKeyring keyring = OpenKeyring::make("c", secret(), kCheap);
    keyring.add_slot(passphrase(), kCheap);
    const std::string first = keyring.seal_next({});
    keyring.rotate();
    const std::string second = keyring.seal_next({});
    return seeds_of(
        {first, first.substr(0, first.rfind(',')), second.substr(0, second.rfind(','))});
}

// A forger has the checksum, and not the MAC: with the one secret that there is every keyring that
// opens was made by who had it.
void check(const std::string& text) {
    Keyring keyring;
    if (!answers([&] { keyring = parse_keyring(text, "x"); }))
        return;
    require(keyring.find(keyring.current) != nullptr, "the current key is there");
    require(keyring_text(keyring.sealed_text, keyring.mac) == text, "a keyring survives");
    answers([&] {
        const OpenKeyring open = OpenKeyring::open(keyring, secret());
        require(open.identity().size() == kKeyBytes, "an identity is a key");
    });
}

void run(ByteView input) {
    const std::string text(as_text(input));
    check(text);
    check(text + ",\n  \"sha256\": \"" + sha256_hex(input) + "\"\n}\n");
}

const Target target("keyring", seeds, run);

}  // namespace
}  // namespace ark::fuzz
