#pragma once

#include <memory>
#include <string>

#include "core/base/bytes.hpp"

namespace ark {

/// SHA-256 in pieces. One thread at a time.
class Sha256 {
 public:
    Sha256();
    ~Sha256();
    Sha256(Sha256&&) noexcept;
    Sha256& operator=(Sha256&&) noexcept;

    void update(ByteView bytes);
    /// Lower-case hexadecimal. Called once; nothing may follow.
    std::string finish();

 private:
    struct State;
    std::unique_ptr<State> state_;
};

std::string sha256_hex(ByteView bytes);

}  // namespace ark
