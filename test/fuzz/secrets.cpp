#include "core/crypto/base64.hpp"
#include "core/repo/key_secret.hpp"
#include "test/fuzz/target.hpp"

namespace ark::fuzz {
namespace {

std::vector<Bytes> seeds() {
    const SecretBytes key = make_key_secret();
    const SecretBytes recipient =
        to_text(Recipient{"0123456789abcdef", Bytes(32), SecretBytes(32, std::byte{2})});
    return {Bytes(key.begin(), key.end()), Bytes(recipient.begin(), recipient.end()),
            bytes_of("passphrase:correct horse\r\n"), bytes_of("QUJD"), bytes_of("QQ==")};
}

void run(ByteView input) {
    const std::string_view text = as_text(input);
    answers([&] {
        const KeySecret secret = parse_key_secret(text);
        require(!secret.bytes.empty(), "a secret is not empty");
    });
    std::vector<Recipient> recipients;
    if (answers([&] { recipients = parse_recipients(text); })) {
        for (const Recipient& one : recipients) {
            const SecretBytes again = to_text(one);
            require(parse_recipients(as_text(again)).front().identity == one.identity,
                    "a recipient survives");
        }
    }
    for (const size_t size : {0, 1, 2, 3, 32, 40})
        exact_base64(text, size);
    Bytes bytes;
    if (answers([&] { bytes = from_base64(text); }))
        require(bytes.size() <= text.size(), "base64 does not shrink");
}

const Target target("secrets", seeds, run);

}  // namespace
}  // namespace ark::fuzz
