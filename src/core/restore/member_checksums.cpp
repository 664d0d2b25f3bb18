#include "core/restore/member_checksums.hpp"

#include "core/pipeline/content_hash.hpp"

namespace ark {

uint64_t MemberChecksums::end() const {
    return refs_.back().offset + refs_.back().stored;
}

size_t MemberChecksums::memory() const {
    size_t sum = 0;
    for (const FrameRef& ref : refs_)
        sum += ref.stored;
    return sum;
}

bool MemberChecksums::fetch(const std::function<std::vector<uint64_t>()>& fetch,
                            const std::function<void(const Error&)>& damaged) {
    const std::lock_guard lock(mutex_);
    if (state_ != State::unknown)
        return state_ == State::fetched;
    try {
        checksums_ = fetch();
        state_ = State::fetched;
    } catch (const Error& error) {
        if (error.code != ErrorCode::corrupt)
            throw;
        state_ = State::damaged;
        damaged(error);
    }
    return state_ == State::fetched;
}

bool MemberChecksums::match(uint64_t from, ByteView bytes) const {
    if (from % block_bytes_ != 0 || bytes.size() % block_bytes_ != 0)
        return false;
    uint64_t block = from / block_bytes_;
    for (; !bytes.empty(); bytes = bytes.subspan(block_bytes_), ++block) {
        if (block >= checksums_.size() ||
            block_hash(bytes.first(block_bytes_)) != checksums_[block])
            return false;
    }
    return true;
}

}  // namespace ark
