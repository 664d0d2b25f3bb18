#pragma once

#include <cstdint>
#include <memory>

#include <nlohmann/json.hpp>

#include "core/verify/context.hpp"
#include "core/verify/patience.hpp"

namespace ark {

/// The WAL that a backup needs, and all that can be replayed on top of it.
class WalCheck {
 public:
    WalCheck(VerifyContext& context, Patience& patience);
    ~WalCheck();
    WalCheck(const WalCheck&) = delete;
    WalCheck& operator=(const WalCheck&) = delete;

    /// Looks for timelines and segments; reports history files that are missing or damaged. Bytes
    /// that run will read.
    uint64_t survey();

    /// Reads the WAL from the backup's start to the newest, along the way that recovery takes: each
    /// segment's object and origin, each record's checksum and its link to the one before. Reports
    /// each segment that is missing or damaged, and goes on behind it. Segments that are fresh are
    /// not read, but as neighbours of those that are: records reach across.
    void run();

    /// {first, last, segments (that were read), segments_fresh, timelines, recoverable_to (an LSN;
    /// absent where the backup itself lacks WAL)}, after run.
    nlohmann::json verified() const;

 private:
    class Walk;

    VerifyContext& context_;
    Patience& patience_;
    std::unique_ptr<Walk> walk_;
};

}  // namespace ark
