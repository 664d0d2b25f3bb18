#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/archive/prefetch.hpp"
#include "core/archive/recovery_process.hpp"
#include "core/archive/spool.hpp"
#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/repo/repository.hpp"

namespace ark {

/// What a restore_command does when the repository cannot answer for the whole of its budget.
enum class OnError {
    abort,      ///< fail: recovery stops, and can be started again
    wait,       ///< go on trying: a standby that lives from the archive
    not_found,  ///< say that a segment is not there: a standby that can stream from its primary;
                ///< for a history file go on trying
};

struct WalGetRequest {
    std::string name;                  ///< a segment's, a history file's or a .partial's
    std::string path;                  ///< where the file goes, beside its temporary name
    std::string cluster;               ///< its directory in the repository; empty: found out
    std::string target_timeline;       ///< a number, "latest", or empty: no way to follow
    bool contain_tablespaces = false;  ///< archive/contain_tablespaces.hpp: for scratch servers
    OnError on_error = OnError::abort;
    int64_t timeout_s = 60;
    std::string working_directory = ".";   ///< the data directory, where the server calls
    std::string repository_url = {};       ///< what `open` opens: part of the spool's key
    std::optional<UnixMicros> as_of = {};  ///< likewise: StoreOptions::as_of
    int prefetch = -1;  ///< segments to have ahead; 0: no spool; negative: by their size
    /// Who replays what is fetched; without it there is no spool either.
    std::optional<RecoveryProcess> recovery = {};
};

enum class WalGetResult {
    written,
    written_from_spool,  ///< and the repository was not asked
    not_there,
};

/// Starts a prefetcher, which gets the lock.
using StartPrefetcher = std::function<void(const PrefetchOrder& order, SpoolLock& lock)>;

/// Fetches one file for recovery. `open` opens the repository anew for each try; `warn` hears of a
/// failure that is tried again, at most once a minute; `warn_of_damage` where what is given out
/// ends before a damaged piece, which is the last: so recovery ends there; `start` is called where
/// a segment was written and nobody fetches ahead of it yet.
///
/// A segment is taken from the spool where it lies there for this very recovery, whole by its
/// digest; for the target "latest" only as long as the prefetcher knows that no newer timeline has
/// come. What holds for a fetched one (containment, the guard of tablespaces) holds for it too. One
/// that the prefetcher is fetching is waited for.
///
/// `not_there` only when the store has said so (and once more, that the cluster itself is there;
/// and, where a recovery would end by it, that nothing comes behind it: archive/wal_hole.hpp), or
/// by OnError::not_found; or because the repository has only the beginning of a segment of which
/// the recovering server's own pg_wal has more. When it returns `written` the file is whole: it was
/// renamed to its name. Error: what cannot pass by waiting, at once and whatever OnError says (a
/// wrong key or none; corrupt after three tries);
/// anything else when the budget is used up, also SegmentHole.
WalGetResult wal_get(
    const WalGetRequest& request, const std::function<std::unique_ptr<Repository>()>& open,
    const std::function<void(const Error&)>& warn,
    const std::function<void(const Error&)>& warn_of_damage = [](const Error&) {},
    const StartPrefetcher& start = nullptr);

}  // namespace ark
