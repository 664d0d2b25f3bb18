#include "core/backup/wal_wait.hpp"

#include <unistd.h>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/pgdata/timeline_history.hpp"

namespace ark {

namespace {

constexpr int kPollMillis = 50;
constexpr int64_t kWarnEveryNanos = 60 * 1000000000LL;
constexpr size_t kHistoryLimit = 16 << 20;

bool exists(const std::string& path) {
    return access(path.c_str(), F_OK) == 0;
}

// As XLogArchiveIsBusy (src/backend/access/transam/xlogarchive.c) judges it: .done says that our
// archiver was told yes; with neither mark the segment counts as archived only when it is gone.
bool archiver_is_done(const std::string& data_directory, const std::string& segment) {
    const std::string status = data_directory + "/pg_wal/archive_status/" + segment;
    if (exists(status + ".done"))
        return true;
    if (exists(status + ".ready"))
        return false;
    return !exists(data_directory + "/pg_wal/" + segment);
}

// The history, where this server has it.
std::optional<Bytes> push_history(Repository& repository, const BackupRequest& request,
                                  TimelineId timeline, bool required) {
    const std::string name = request.cluster + "/" + place::history(timeline);
    auto content = read_file_if_exists(request.data_directory + "/pg_wal/" + history_name(timeline),
                                       kHistoryLimit);
    if (content) {
        // What is stored is there for good: a damaged file must not get its name.
        static_cast<void>(TimelineHistory::parse(timeline, as_text(*content)));
        store_small(repository.store(), request.cluster, ObjectKind::history,
                    place::history(timeline), *content, make_writer(request.data_directory));
        return content;
    }
    if (!required || repository.store().head(name))
        return std::nullopt;
    throw Error(
        ErrorCode::not_found,
        "timeline history file \"" + history_name(timeline) +
            "\" is neither in pg_wal nor in the repository",
        "Without it a restore cannot follow the way to timeline " + std::to_string(timeline) + ".",
        "Copy the file from another server of this cluster into pg_wal.");
}

void push_histories(Repository& repository, const BackupRequest& request, TimelineId timeline) {
    if (timeline < 2)
        return;
    std::optional<Bytes> own = push_history(repository, request, timeline, true);
    // A host that only writes could not read it back.
    if (!own) {
        own = read_small(repository.store(), request.cluster, ObjectKind::history,
                         place::history(timeline), kHistoryLimit);
    }
    if (!own)
        throw Error(ErrorCode::unavailable,
                    "timeline history file \"" + history_name(timeline) + "\" came and went");
    const TimelineHistory history = TimelineHistory::parse(timeline, as_text(*own));
    for (const TimelineFork& fork : history.forks()) {
        if (fork.parent >= 2)
            push_history(repository, request, fork.parent, false);
    }
}

}  // namespace

void wait_for_wal(Repository& repository, const BackupRequest& request, const BackupStart& start,
                  const BackupStop& stop, uint64_t segment_size, BackupProgress progress,
                  BackupHost& host) {
    const int64_t began = monotonic_nanos();
    const int64_t deadline = began + request.wal_timeout_seconds * 1000000000LL;
    int64_t next_warning = began + kWarnEveryNanos;
    progress.phase = BackupPhase::waiting_for_wal;
    const uint64_t last = last_segment_number_before(stop.lsn, segment_size);
    for (uint64_t number = start.lsn / segment_size; number <= last; ++number) {
        const std::string segment = segment_name({start.timeline, number}, segment_size);
        const std::string name = request.cluster + "/" + place::segment(segment);
        progress.segment = segment;
        while (!archiver_is_done(request.data_directory, segment) ||
               !repository.store().head(name)) {
            host.progress(progress);
            const int64_t now = monotonic_nanos();
            const std::string waited = std::to_string((now - began) / 1000000000) + " seconds";
            const std::string hint =
                "See ark.archiver_status and the server's log for what keeps the archiver.";
            if (now > deadline) {
                throw Error(ErrorCode::timeout,
                            "WAL segment " + segment + " did not reach the repository in time",
                            "The backup waited for " + waited + " (pg_ark.wal_timeout).", hint);
            }
            if (now > next_warning) {
                next_warning = now + kWarnEveryNanos;
                host.warning(Error(
                    ErrorCode::timeout,
                    "backup \"" + request.id + "\" is still waiting for WAL segment " + segment,
                    "It has waited for " + waited + ".", hint));
            }
            host.wait(kPollMillis);
        }
    }
    push_histories(repository, request, stop.timeline);
}

}  // namespace ark
