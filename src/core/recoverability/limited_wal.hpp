#pragma once

#include <set>

#include "core/archive/wal_source.hpp"

namespace ark {

/// Contiguous WAL whose end is known, of which no more than so many segments are read: behind that
/// it is as if it ended, and is_exhausted says so. A question that somebody waits for must not read
/// days of WAL because one transaction took that long. Error: cancelled where the process is to
/// end; as the source.
class LimitedWal final : public WalSource {
 public:
    /// The source outlives it. `last`: what last_contiguous gives for segments up to it.
    LimitedWal(WalSource& source, uint64_t last);

    uint64_t segment_size() const override { return source_.segment_size(); }
    std::optional<ByteView> read_segment(uint64_t number) override;
    std::optional<uint64_t> last_contiguous(uint64_t first) override;

    bool is_exhausted() const { return exhausted_; }

 private:
    WalSource& source_;
    const uint64_t last_;
    const size_t most_segments_;
    std::set<uint64_t> seen_;
    bool exhausted_ = false;
};

}  // namespace ark
