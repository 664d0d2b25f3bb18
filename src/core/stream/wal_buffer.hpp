#pragma once

#include <algorithm>
#include <deque>

#include "core/base/bytes.hpp"

namespace ark {

/// Bytes in the order in which they came. In chunks, so that it grows and shrinks without ever
/// being in memory twice. One thread.
class WalBuffer {
 public:
    uint64_t size() const { return size_; }

    void append(ByteView bytes) {
        size_ += bytes.size();
        while (!bytes.empty()) {
            if (chunks_.empty() || chunks_.back().size() == kChunk) {
                chunks_.emplace_back();
                chunks_.back().reserve(std::min(kChunk, std::max(bytes.size(), kSmallChunk)));
            }
            Bytes& chunk = chunks_.back();
            const ByteView piece = bytes.first(std::min(bytes.size(), kChunk - chunk.size()));
            chunk.insert(chunk.end(), piece.begin(), piece.end());
            bytes = bytes.subspan(piece.size());
        }
    }

    /// The first `size` bytes, which are given away. There are so many.
    Bytes take(uint64_t size) {
        Bytes out;
        out.reserve(size);
        pass(size, [&out](ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); });
        return out;
    }
    void drop(uint64_t size) {
        pass(size, [](ByteView) {});
    }

 private:
    static constexpr size_t kChunk = 1 << 20;
    static constexpr size_t kSmallChunk = 8192;  // what one commit brings

    template <typename Use>
    void pass(uint64_t size, const Use& use) {
        size_ -= size;
        while (size > 0) {
            const ByteView rest = ByteView(chunks_.front()).subspan(begin_);
            const ByteView piece = rest.first(std::min<uint64_t>(rest.size(), size));
            use(piece);
            begin_ += piece.size();
            size -= piece.size();
            if (begin_ == chunks_.front().size()) {
                chunks_.pop_front();
                begin_ = 0;
            }
        }
    }

    std::deque<Bytes> chunks_;
    size_t begin_ = 0;  ///< in the first of them
    uint64_t size_ = 0;
};

}  // namespace ark
