#pragma once

#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "core/backup/host.hpp"
#include "core/base/file.hpp"
#include "core/changes/file_changes.hpp"
#include "core/pgdata/relation_name.hpp"

namespace ark {

constexpr size_t kMaxReportedMisses = 100;

/// Reads a share of the blocks that the change tables call unchanged, and holds their LSNs against
/// that: the tracking is audited, not trusted. One thread.
class ChangeAudit {
 public:
    struct Findings {
        uint64_t blocks = 0;            ///< read
        uint64_t misses = 0;            ///< of them: had changed
        std::vector<AuditMiss> missed;  ///< the first of them
    };

    /// `fraction`, of all files taken together; 1 reads every block.
    ChangeAudit(double fraction, Lsn parent_start, Lsn start, const BlockSizes& sizes);

    /// True where nothing speaks against the table. `abandoned` is looked at in between.
    bool passes(const File& file, const std::string& path, const RelationPath& relation,
                const FileChanges& changes, const std::function<bool()>& abandoned);

    const Findings& findings() const { return findings_; }

 private:
    bool chosen();
    bool look(const File& file, const std::string& path, uint64_t first_block, uint32_t first,
              uint32_t blocks);

    const double fraction_;
    const Lsn parent_start_;
    const Lsn start_;
    const BlockSizes sizes_;
    std::mt19937_64 random_;
    Bytes buffer_;
    Findings findings_;
};

}  // namespace ark
