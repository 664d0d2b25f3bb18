#pragma once

#include <cstdint>

#include "core/base/bytes.hpp"

namespace ark {

/// Takes values off the front of what a record holds; once something is missing everything after it
/// is too.
class WalCursor {
 public:
    explicit WalCursor(ByteView bytes) : bytes_(bytes) {}

    template <typename T>
    T take() {
        if (!skip(sizeof(T)))
            return T{};
        return load<T>(taken_, 0);
    }
    bool skip(uint64_t size) {
        if (!good_ || size > bytes_.size()) {
            good_ = false;
            return false;
        }
        taken_ = bytes_.first(size);
        bytes_ = bytes_.subspan(size);
        return true;
    }
    bool good() const { return good_; }
    size_t left() const { return bytes_.size(); }

 private:
    ByteView bytes_;
    ByteView taken_;
    bool good_ = true;
};

}  // namespace ark
