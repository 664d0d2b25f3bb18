#include "core/pipeline/digest.hpp"

#include <array>

#include <openssl/evp.h>

#include "core/base/error.hpp"

namespace ark {

namespace {

struct ContextDeleter {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

void check(int result) {
    if (result != 1)
        throw Error(ErrorCode::internal, "could not compute a SHA-256 digest");
}

}  // namespace

struct Sha256::State {
    std::unique_ptr<EVP_MD_CTX, ContextDeleter> context{EVP_MD_CTX_new()};
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
    if (!state_->context)
        throw Error(ErrorCode::out_of_memory, "out of memory");
    check(EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr));
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(ByteView bytes) {
    check(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()));
}

std::string Sha256::finish() {
    std::array<std::byte, 32> out{};
    check(EVP_DigestFinal_ex(state_->context.get(), reinterpret_cast<unsigned char*>(out.data()),
                             nullptr));
    return to_hex(out);
}

std::string sha256_hex(ByteView bytes) {
    Sha256 digest;
    digest.update(bytes);
    return digest.finish();
}

}  // namespace ark
