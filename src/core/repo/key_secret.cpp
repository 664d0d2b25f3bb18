#include "core/repo/key_secret.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "core/crypto/base64.hpp"

namespace ark {

namespace {

constexpr std::string_view kKeyPrefix = "pgark-key-1:";
constexpr std::string_view kPassphrasePrefix = "passphrase:";
constexpr std::string_view kRecipientPrefix = "pgark-recipient-1:";
constexpr std::string_view kSpace = ", \t\r\n";

Error no_secret(const std::string& detail) {
    return {ErrorCode::invalid_argument, "invalid encryption key", detail,
            "It is one line: \"pgark-key-1:\" and 32 bytes in base64, or \"passphrase:\" and a "
            "passphrase."};
}

Error no_recipient(const std::string& detail) {
    return {ErrorCode::invalid_argument, "invalid encryption recipient", detail,
            "A recipient begins with \"pgark-recipient-1:\"; a comma or white space is between "
            "two."};
}

std::string_view without_newline(std::string_view text) {
    if (text.ends_with('\n'))
        text.remove_suffix(1);
    if (text.ends_with('\r'))
        text.remove_suffix(1);
    return text;
}

void append(SecretBytes& out, std::string_view text) {
    const ByteView bytes = as_bytes(text);
    out.insert(out.end(), bytes.begin(), bytes.end());
}

// The standard's strings do not overwrite what they held.
void append_base64(SecretBytes& out, ByteView bytes) {
    std::string text = to_base64(bytes);
    append(out, text);
    OPENSSL_cleanse(text.data(), text.size());
}

// What stands before the next colon, which goes too.
std::string_view take_part(std::string_view& rest) {
    const size_t colon = rest.find(':');
    const std::string_view part = rest.substr(0, colon);
    rest.remove_prefix(colon == std::string_view::npos ? rest.size() : colon + 1);
    return part;
}

Recipient parse_recipient(std::string_view text) {
    if (!text.starts_with(kRecipientPrefix))
        throw no_recipient("It does not begin as one.");
    text.remove_prefix(kRecipientPrefix.size());
    Recipient out;
    out.key_id = take_part(text);
    const SecretBytes public_key = exact_base64(take_part(text), kKeyBytes);
    out.public_key.assign(public_key.begin(), public_key.end());
    out.identity = exact_base64(text, kKeyBytes);
    if (!is_key_id(out.key_id) || out.public_key.empty() || out.identity.empty())
        throw no_recipient("It is not whole.");
    return out;
}

}  // namespace

KeySecret parse_key_secret(std::string_view text) {
    if (text.size() > kMaxSecretText)
        throw no_secret("It is longer than " + std::to_string(kMaxSecretText) + " bytes.");
    text = without_newline(text);
    KeySecret out;
    if (text.starts_with(kKeyPrefix)) {
        out.bytes = exact_base64(text.substr(kKeyPrefix.size()), kKeyBytes);
        if (out.bytes.empty())
            throw no_secret("What follows \"pgark-key-1:\" is not 32 bytes in base64.");
        return out;
    }
    if (!text.starts_with(kPassphrasePrefix))
        throw no_secret("It begins neither with \"pgark-key-1:\" nor with \"passphrase:\".");
    out.type = KeySecret::Type::passphrase;
    out.bytes = secret_copy(text.substr(kPassphrasePrefix.size()));
    // A second line would be part of it, and whoever types it later would not know.
    if (out.bytes.empty() ||
        text.find_first_of(std::string_view("\n\r\0", 3)) != std::string_view::npos)
        throw no_secret("The passphrase is empty, or has more than one line.");
    return out;
}

SecretBytes make_key_secret() {
    SecretBytes out = secret_copy(kKeyPrefix);
    append_base64(out, random_secret(kKeyBytes));
    append(out, "\n");
    return out;
}

SecretBytes to_text(const Recipient& recipient) {
    SecretBytes out = secret_copy(kRecipientPrefix);
    append(out, recipient.key_id);
    append(out, ":");
    append_base64(out, recipient.public_key);
    append(out, ":");
    append_base64(out, recipient.identity);
    return out;
}

std::vector<Recipient> parse_recipients(std::string_view text) {
    std::vector<Recipient> out;
    for (;;) {
        text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
        if (text.empty())
            break;
        const std::string_view one = text.substr(0, text.find_first_of(kSpace));
        text.remove_prefix(one.size());
        if (out.size() == kMaxRecipients)
            throw no_recipient("There are more than " + std::to_string(kMaxRecipients) + ".");
        Recipient recipient = parse_recipient(one);
        for (const Recipient& other : out) {
            if (other.key_id == recipient.key_id)
                throw no_recipient("Key " + other.key_id + " is there twice.");
            if (!equal_in_constant_time(other.identity, recipient.identity))
                throw no_recipient("They are keys of different keyrings.");
        }
        out.push_back(std::move(recipient));
    }
    if (out.empty())
        throw no_recipient("There is none.");
    return out;
}

std::string make_key_id() {
    return to_hex(random_bytes(8));
}

bool is_key_id(std::string_view text) {
    return text.size() == 16 && std::ranges::all_of(text, [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
           });
}

SecretBytes exact_base64(std::string_view text, size_t size) {
    if (text.size() != (size + 2) / 3 * 4)
        return {};
    try {
        Bytes bytes = from_base64(text);
        SecretBytes out = secret_copy(bytes);
        OPENSSL_cleanse(bytes.data(), bytes.size());
        // Padding's spare bits, and what the decoder takes for white space.
        std::string again = to_base64(out);
        const bool exact = out.size() == size && again == text;
        OPENSSL_cleanse(again.data(), again.size());
        return exact ? out : SecretBytes();
    } catch (const Error&) {
        return {};
    }
}

}  // namespace ark
