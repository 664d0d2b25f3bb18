#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/recoverability/plan.hpp"
#include "core/repo/repository.hpp"

namespace ark {

class RepositoryWal;

/// The server that asks, where it writes WAL into this repository itself.
struct ThisServer {
    std::string data_directory;
    TimelineId timeline = 0;
    Lsn flushed = 0;
    uint64_t segment_size = 0;
};

/// Moments to which one can recover, from backups that all lead to the same end.
struct RecoverableRange {
    TimelineId timeline = 0;  ///< recovery ends on it
    std::string first_backup;
    std::string last_backup;
    uint64_t backups = 0;
    UnixMicros from_time = 0;  ///< the first backup's stop: consistent from there on
    Lsn from_lsn = 0;
    /// The end of the last transaction; the last backup's stop where none has ended since. nullopt
    /// where it was not found in the last gigabyte of WAL, or that WAL is damaged.
    std::optional<UnixMicros> until_time = {};
    std::optional<Lsn> until_lsn = {};
    std::optional<Lsn> wal_end = {};  ///< of the last whole record
    std::string last_segment;
    bool is_open = false;  ///< this server's WAL goes on from here without a gap
};

/// What the repository says of one cluster's recoverability. Reads markers, histories and listings
/// from the oldest backup's WAL on; of WAL itself the last segments of each range.
class RecoverabilitySurvey {
 public:
    /// Error: as list_backups, and what the store throws.
    RecoverabilitySurvey(Repository& repository, std::string cluster,
                         std::optional<ThisServer> server = {});

    /// By timeline and place. A range that another timeline's contains is left out.
    std::vector<RecoverableRange> ranges();

    /// What some backup needs on its way to the newest moment that it can lead to.
    std::vector<WalGap> gaps();

    /// What could not be looked at: sentences without their full stop.
    const std::vector<std::string>& warnings() const { return warnings_; }

    /// Of newest WAL: pieces that are damaged and the last ones, before which `ranges` end.
    const std::vector<Error>& damaged_ends() const { return damaged_ends_; }

 private:
    struct Way {
        TimelineHistory history;
        uint64_t segment_size;
        std::vector<BackupMarker> backups;
    };

    void load_ways();
    void add_way(TimelineId timeline);
    std::optional<LocalWal> local_on(const Way& way) const;
    std::optional<uint64_t> last_contiguous(RepositoryWal& wal, uint64_t first);
    void note_damaged_end(const Error& damage);
    std::vector<RecoverableRange> ranges_on(const Way& way);
    std::vector<WalGap> gaps_on(const Way& way);
    bool is_elsewhere(const Way& way, const BackupRun& run, Lsn end) const;

    Repository& repository_;
    const std::string cluster_;
    const std::optional<ThisServer> server_;
    std::vector<BackupMarker> backups_;
    std::vector<Way> ways_;  ///< by timeline; each has backups
    std::vector<std::string> warnings_;
    std::vector<Error> damaged_ends_;
};

}  // namespace ark
