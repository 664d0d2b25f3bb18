#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/crypto/secret.hpp"

namespace ark {

constexpr size_t kKeyBytes = 32;  ///< of every key here
/// As long as a line that somebody pastes may be.
constexpr size_t kMaxSecretText = 4096;

/// What opens a keyring: 32 random bytes, or a passphrase.
struct KeySecret {
    enum class Type { key, passphrase };
    Type type = Type::key;
    SecretBytes bytes;
};

/// Of "pgark-key-1:<base64>" or "passphrase:<text>"; a newline at the end is not part of it. Error:
/// invalid_argument, which never repeats what was given.
KeySecret parse_key_secret(std::string_view text);
/// A new one of the first kind, with a newline.
SecretBytes make_key_secret();

/// Whom objects are sealed to by a host that cannot read them: a key of a keyring, by its public
/// half. Who has it reads nothing, can write what readers take for the cluster's own, and can
/// confirm a guess of a whole object's content.
struct Recipient {
    std::string key_id;
    Bytes public_key;      ///< X25519
    SecretBytes identity;  ///< the keyring's
};

/// "pgark-recipient-1:<key id>:<base64 of the public key>:<base64 of the identity key>"
SecretBytes to_text(const Recipient& recipient);
/// One or several, separated by commas or white space. Error: invalid_argument, which repeats
/// nothing: none, more than kMaxRecipients, one key twice, or keys of several keyrings.
std::vector<Recipient> parse_recipients(std::string_view text);
/// Their data keys have to fit an object's header.
constexpr size_t kMaxRecipients = 16;

/// 16 hexadecimal digits.
std::string make_key_id();
bool is_key_id(std::string_view text);

/// The bytes of base64 as to_base64 writes it, and of no other spelling; empty where the text is
/// something else or of another size.
SecretBytes exact_base64(std::string_view text, size_t size);

}  // namespace ark
