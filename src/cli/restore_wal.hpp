#pragma once

#include <memory>
#include <string>

#include "core/repo/repository.hpp"
#include "core/restore/archived_wal.hpp"

namespace ark {

/// Joins restore's questions and archive's answers, which do not know each other.
class RepositoryArchivedWal final : public ArchivedWal {
 public:
    /// The repository outlives it.
    RepositoryArchivedWal(Repository& repository, std::string cluster);

    TimelineHistory history_of(TimelineId timeline) override;
    TimelineId newest_timeline(TimelineId start) override;
    std::unique_ptr<WalOnWay> along(const TimelineHistory& way, uint64_t segment_size,
                                    uint64_t last_segment) override;
    Bytes pieces_of(const std::string& segment) override;

 private:
    Repository& repository_;
    std::string cluster_;
};

}  // namespace ark
