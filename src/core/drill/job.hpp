#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/drill/drill_steps.hpp"
#include "core/drill/drill_target.hpp"
#include "core/drill/user_check.hpp"
#include "core/repo/evidence.hpp"
#include "core/repo/key_source.hpp"
#include "core/repo/repository.hpp"
#include "core/restore/archived_wal.hpp"

namespace ark {

struct DrillRequest {
    std::string cluster;            ///< its directory in the repository
    std::string backup_id;          ///< empty: the newest that leads to the target
    std::string test_id;            ///< empty: one is made
    std::string scratch_directory;  ///< absolute; the test makes a directory of its own in it
    std::string program_directory;  ///< where postgres and pg_verifybackup of the backup's major
                                    ///< version are; empty: looked for
    std::string program;            ///< absolute path of this executable, for restore_command
    KeySource key = {};             ///< likewise: where it has the encryption key from
    bool require_encryption = false;
    int jobs = 2;
    int memory_mb =
        64;  ///< of the scratch server: maintenance_work_mem in all; shared_buffers half of it
    std::vector<std::string> libraries;  ///< shared_preload_libraries of the scratch server
    std::vector<std::string> keep_away;  ///< directories that the test must not touch: the live
                                         ///< cluster's data directory and tablespaces
    /// A drill, with a target and the checks of its own; false: a restore test, to the end of the
    /// backup, with `steps` of_restore_test.
    bool is_drill = false;
    DrillTarget target = {};
    DrillSteps steps = DrillSteps::of_restore_test();
    std::vector<UserCheck> checks = {};  ///< in the order in which they are to be asked
    nlohmann::json context = {};  ///< what the server knows, for reports: objectives and history,
                                  ///< arrays, go into the evidence as they are
    bool keep = false;            ///< leave the scratch directory when something is wrong
};

enum class DrillPhase {
    preparing,
    restoring,
    verifying_objects,
    verifying_files,
    recovering,
    asking,  ///< the user's checks
    checking_pages,
    checking,  ///< catalogs, tables, indexes, and whether rows keep their rules
    cleaning,
    done,
};
const char* name_of(DrillPhase phase) noexcept;

struct DrillProgress {
    DrillPhase phase = DrillPhase::preparing;
    std::string doing;  ///< for people: "public.orders"
    uint64_t done = 0;  ///< of this phase: bytes, or relations when checking
    uint64_t total = 0;
};

/// Called on the thread that runs the drill, a few times a second and at each phase. What it throws
/// (cancelled) ends the drill: within seconds, and with everything removed.
class DrillListener {
 public:
    DrillListener() = default;
    DrillListener(const DrillListener&) = delete;
    DrillListener& operator=(const DrillListener&) = delete;
    virtual ~DrillListener() = default;
    virtual void progress(const DrillProgress& progress) = 0;
};

/// Restores the backup to a scratch server of its own, lets it recover to its target, and
/// questions it: docs/restore-tests.md. Runs on a main thread of a process that has called
/// become_scratch_host. Damage is a finding; so is a backup that cannot be restored or a server
/// that does not come up.
///
/// Error: what says nothing of the backup: not_found (no such backup, no server programs of its
/// version), target_unreachable (UnreachableWish: before the backups, or behind all that was
/// archived), refused (the scratch directory's place), disk_full, unavailable, cancelled. Nothing
/// is left behind in either case, but with `keep`.
Evidence run_drill(Repository& repository, ArchivedWal& wal, const DrillRequest& request,
                   DrillListener& listener);

/// Makes this process fit to run drills: subreaper, lowest priority for processor and disk.
void become_scratch_host();

/// Removes what drills that are no more left in the scratch directory: their servers are ended
/// (found by pid and data directory), their directories removed. Returns how many.
int sweep_scratch_directory(const std::string& scratch_directory);

}  // namespace ark
