#include "core/crypto/aes.hpp"

#include <climits>

#include "core/crypto/openssl.hpp"

namespace ark {

namespace {

using openssl::CipherContext;

CipherContext make_context() {
    CipherContext context(EVP_CIPHER_CTX_new());
    if (!context)
        throw Error(ErrorCode::out_of_memory, "out of memory");
    return context;
}

CipherContext make_gcm(ByteView key, bool encrypts) {
    CipherContext context = make_context();
    const EVP_CIPHER* cipher = key.size() == 32   ? EVP_aes_256_gcm()
                               : key.size() == 16 ? EVP_aes_128_gcm()
                                                  : nullptr;
    // The nonce's length is 12 unless something else is asked for.
    if (cipher == nullptr || EVP_CipherInit_ex(context.get(), cipher, nullptr, openssl::in(key),
                                               nullptr, encrypts ? 1 : 0) != 1) {
        throw openssl::failure("begin to use a key");
    }
    return context;
}

// Nonce, additional data, text: everything but the tag.
bool run_gcm(EVP_CIPHER_CTX* context, ByteView nonce, ByteView aad, ByteView from,
             MutableByteView to) {
    if (nonce.size() != AesGcm::kNonceBytes || from.size() > INT_MAX || aad.size() > INT_MAX)
        throw openssl::failure("seal or open a message of this shape");
    int length = 0;
    return EVP_CipherInit_ex(context, nullptr, nullptr, nullptr, openssl::in(nonce), -1) == 1 &&
           (aad.empty() || EVP_CipherUpdate(context, nullptr, &length, openssl::in(aad),
                                            static_cast<int>(aad.size())) == 1) &&
           (from.empty() || EVP_CipherUpdate(context, openssl::out(to), &length, openssl::in(from),
                                             static_cast<int>(from.size())) == 1);
}

}  // namespace

struct AesGcm::State {
    SecretBytes key;
    CipherContext sealer;
    CipherContext opener;
};

AesGcm::AesGcm(ByteView key) : state_(std::make_unique<State>()) {
    state_->key = secret_copy(key);
}
AesGcm::~AesGcm() = default;
AesGcm::AesGcm(AesGcm&&) noexcept = default;
AesGcm& AesGcm::operator=(AesGcm&&) noexcept = default;

void AesGcm::seal(ByteView nonce, ByteView aad, ByteView plain, MutableByteView out) {
    if (!state_->sealer)
        state_->sealer = make_gcm(state_->key, true);
    EVP_CIPHER_CTX* context = state_->sealer.get();
    int length = 0;
    const MutableByteView tag = out.subspan(plain.size(), kTagBytes);
    if (!run_gcm(context, nonce, aad, plain, out) ||
        EVP_CipherFinal_ex(context, openssl::out(tag), &length) != 1 ||
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagBytes, openssl::out(tag)) != 1) {
        throw openssl::failure("encrypt");
    }
}

bool AesGcm::open(ByteView nonce, ByteView aad, ByteView sealed, MutableByteView out) {
    if (sealed.size() < kTagBytes)
        return false;
    if (!state_->opener)
        state_->opener = make_gcm(state_->key, false);
    EVP_CIPHER_CTX* context = state_->opener.get();
    const ByteView text = sealed.first(sealed.size() - kTagBytes);
    std::array<std::byte, kTagBytes> tag{};
    std::memcpy(tag.data(), sealed.data() + text.size(), kTagBytes);
    std::array<std::byte, kTagBytes> rest{};
    int length = 0;
    if (run_gcm(context, nonce, aad, text, out) &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag.data()) == 1 &&
        EVP_CipherFinal_ex(context, openssl::out(rest), &length) == 1) {
        return true;
    }
    ERR_clear_error();
    // What was not authenticated is not handed out.
    OPENSSL_cleanse(out.data(), text.size());
    return false;
}

Bytes wrap_key(ByteView wrapping_key, ByteView key) {
    const CipherContext context = make_context();
    EVP_CIPHER_CTX_set_flags(context.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    Bytes out(key.size() + 16);  // the library asks for a block more than it uses
    int length = 0;
    if (wrapping_key.size() != 32 || key.size() < 16 || key.size() % 8 != 0 ||
        EVP_EncryptInit_ex(context.get(), EVP_aes_256_wrap(), nullptr, openssl::in(wrapping_key),
                           nullptr) != 1 ||
        EVP_EncryptUpdate(context.get(), openssl::out(out), &length, openssl::in(key),
                          static_cast<int>(key.size())) != 1 ||
        static_cast<size_t>(length) != key.size() + 8) {
        throw openssl::failure("wrap a key");
    }
    out.resize(key.size() + 8);
    return out;
}

std::optional<SecretBytes> unwrap_key(ByteView wrapping_key, ByteView wrapped) {
    if (wrapped.size() < 24 || wrapped.size() % 8 != 0 || wrapped.size() > 4096)
        return std::nullopt;
    const CipherContext context = make_context();
    EVP_CIPHER_CTX_set_flags(context.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    if (wrapping_key.size() != 32 || EVP_DecryptInit_ex(context.get(), EVP_aes_256_wrap(), nullptr,
                                                        openssl::in(wrapping_key), nullptr) != 1) {
        throw openssl::failure("unwrap a key");
    }
    SecretBytes out(wrapped.size() + 16);
    int length = 0;
    if (EVP_DecryptUpdate(context.get(), openssl::out(out), &length, openssl::in(wrapped),
                          static_cast<int>(wrapped.size())) != 1 ||
        static_cast<size_t>(length) != wrapped.size() - 8) {
        ERR_clear_error();
        return std::nullopt;
    }
    out.resize(wrapped.size() - 8);
    return out;
}

}  // namespace ark
