#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/repo/repository.hpp"
#include "core/restore/planning.hpp"

namespace ark {

enum class RestorePhase { clearing, writing, syncing, configuring, done };
const char* name_of(RestorePhase phase) noexcept;

struct RestoreProgress {
    RestorePhase phase = RestorePhase::clearing;
    uint64_t files = 0;
    uint64_t files_total = 0;
    uint64_t bytes = 0;
    uint64_t bytes_total = 0;
    uint64_t fetched = 0;
};

/// Who watches a restore. Called on the thread that runs it, a few times a second while files are
/// written and at each phase. What `progress` throws (cancelled) ends the restore.
class RestoreListener {
 public:
    RestoreListener() = default;
    RestoreListener(const RestoreListener&) = delete;
    RestoreListener& operator=(const RestoreListener&) = delete;
    virtual ~RestoreListener() = default;
    virtual void progress(const RestoreProgress& progress) = 0;
};

struct RestoreResult {
    uint64_t files = 0;
    uint64_t bytes = 0;
    uint64_t fetched = 0;
    uint64_t reused_files = 0;  ///< of `files`: were there, and right
    uint64_t reused_bytes = 0;
    int64_t nanos = 0;
    std::string kept_wal_directory;  ///< empty when nothing had to be kept
    std::vector<std::string> notices;
    std::vector<std::string> warnings;
};

/// Does it. The order is what makes a killed restore unstartable: mark, global/pg_control away, the
/// rest away; files, fsync, tablespace links, manifest; configuration, recovery.signal, clone mark,
/// fsync; mark away; pg_control into place by rename. Error: as the parts throw; the data directory
/// cannot be started then.
RestoreResult run_restore(Repository& repository, const RestoreRequest& request,
                          const RestorePlan& plan, RestoreListener& listener);

/// The file that makes a restored cluster a clone: while it is there the server's module stores
/// nothing in the repository. In pg_wal neither pg_verifybackup nor a base backup looks at it.
constexpr const char* kCloneMarkName = "pg_wal/pg_ark.clone";

}  // namespace ark
