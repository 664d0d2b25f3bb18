#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/repo/repository.hpp"
#include "core/restore/destination.hpp"
#include "core/restore/layout.hpp"
#include "core/restore/recovery_config.hpp"
#include "core/restore/resolve.hpp"

namespace ark {

/// One restore, as asked for.
struct RestoreRequest {
    std::string cluster;  ///< its directory in the repository
    RestoreWish wish;
    TargetAction action = TargetAction::pause;
    DestinationRequest destination;
    bool accept_corrupt_pages = false;  ///< restore damage that the backup names in its marker
    bool take_over = false;  ///< the restored cluster takes the original's place: no clone mark
    bool standby = false;  ///< it goes on replaying what is archived, and opens only when promoted
    std::string primary_conninfo = {};  ///< for a standby: where it streams from, too
    bool scratch = false;  ///< for a server that the caller configures from nothing and keeps to
                           ///< itself: files stay as they are in the backup, and replay's
                           ///< tablespaces are the caller's to contain
    int jobs = 2;
    std::string program;  ///< absolute path of this executable, for restore_command
    KeySource key = {};   ///< likewise: where it has the encryption key from
    bool require_encryption = false;
};

/// Everything that was found out and decided before the first change.
struct RestorePlan {
    Resolved source;
    Destination destination;
    IndexSurvey survey;
    uint64_t fetch_bytes = 0;  ///< stored bytes of the backup; of a chain, those that are needed
    std::vector<std::string>
        kept_wal;  ///< names in the old pg_wal that the repository does not have
    std::vector<std::string> warnings;  ///< source.warnings among them
    bool read_ahead = true;             ///< RecoverySettings::read_ahead
    std::optional<UnixMicros> as_of;    ///< whose past the repository shows: ObjectStore::as_of
};

/// The damage was in the data directory already: whoever restores it has to know. Error: corrupt
/// where the backup has pages that were corrupt when it was taken.
void refuse_corrupt_pages(const BackupMarker& backup);

/// Looks at repository and destination, and changes nothing. Error: everything that speaks against
/// the restore.
RestorePlan plan_restore(Repository& repository, ArchivedWal& wal, const RestoreRequest& request);

}  // namespace ark
