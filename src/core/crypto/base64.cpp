#include "core/crypto/base64.hpp"

#include <openssl/evp.h>

#include "core/base/error.hpp"

namespace ark {

std::string to_base64url(ByteView bytes) {
    std::string out = to_base64(bytes);
    for (char& c : out)
        c = c == '+' ? '-' : c == '/' ? '_' : c;
    return out.substr(0, out.find('='));
}

std::string to_base64(ByteView bytes) {
    std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');
    const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                       reinterpret_cast<const unsigned char*>(bytes.data()),
                                       static_cast<int>(bytes.size()));
    out.resize(static_cast<size_t>(length));
    return out;
}

Bytes from_base64(std::string_view text) {
    Bytes out(text.size() / 4 * 3 + 3);
    const int length = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                       reinterpret_cast<const unsigned char*>(text.data()),
                                       static_cast<int>(text.size()));
    if (length < 0 || text.size() % 4 != 0)
        throw Error(ErrorCode::invalid_argument, "text is not base64");
    const size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
    out.resize(static_cast<size_t>(length) - padding);
    return out;
}

}  // namespace ark
