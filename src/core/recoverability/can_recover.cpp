#include "core/recoverability/can_recover.hpp"

#include <algorithm>

#include "core/archive/wal_source.hpp"
#include "core/base/error.hpp"
#include "core/recoverability/limited_wal.hpp"
#include "core/recoverability/plan.hpp"
#include "core/recoverability/recovery_stop.hpp"
#include "core/repo/stored_segments.hpp"
#include "core/repo/vault_store.hpp"
#include "core/restore/planning.hpp"

namespace ark {

namespace {

// Answers; anything else that is thrown means that there is none.
bool is_no(const Error& error) {
    return error.code == ErrorCode::target_unreachable || error.code == ErrorCode::not_found ||
           error.code == ErrorCode::corrupt;
}

std::string sentence(std::string text) {
    if (!text.empty() && text.front() >= 'a' && text.front() <= 'z')
        text.front() = static_cast<char>(text.front() - 'a' + 'A');
    if (!text.empty() && !text.ends_with('.'))
        text += '.';
    return text;
}

Resolved resolve(Repository& repository, ArchivedWal& archive, const std::string& cluster,
                 UnixMicros target) {
    RestoreWish wish;
    wish.target = parse_target({.time = to_iso8601(target)}, now_micros());
    Resolved source = resolve_wish(repository, archive, cluster, wish);
    refuse_corrupt_pages(source.backup);
    return source;
}

// nullopt where it is not found without reading too much, or what would have to be read is damaged.
std::optional<RecoveryStop> find_stop(Repository& repository, const Resolved& source) {
    const BackupMarker& backup = source.backup;
    RepositoryWal wal(repository, source.cluster, backup.wal_segment_size, source.way);
    LimitedWal limited(wal, last_segment_number_before(source.wal_end, backup.wal_segment_size));
    try {
        auto stop =
            find_recovery_stop(limited, source.target.time, backup.stop_lsn, source.wal_end);
        return limited.is_exhausted() ? std::nullopt : stop;
    } catch (const Error& error) {
        if (error.code != ErrorCode::corrupt)
            throw;
        return std::nullopt;
    }
}

// What the store holds of the segments [first, last] of the way.
class StoredWal {
 public:
    StoredWal(Repository& repository, const Resolved& source)
        : repository_(repository), source_(source), size_(source.backup.wal_segment_size) {}

    uint64_t bytes(uint64_t first, uint64_t last) {
        uint64_t sum = 0;
        bool has_last = false;
        for (const TimelineId timeline : source_.way.timelines()) {
            const uint64_t from = std::max(first, source_.way.begin_of(timeline) / size_);
            find_stored_segments(repository_, {source_.cluster, timeline, size_, from},
                                 [&](uint64_t number, const ObjectInfo& object) {
                                     if (number > last || !is_of(timeline, number))
                                         return false;
                                     has_last = has_last || number == last;
                                     sum += object.size;
                                     return true;
                                 });
        }
        return has_last ? sum : sum + tail_bytes(last);
    }

 private:
    bool is_of(TimelineId timeline, uint64_t number) const {
        return number < source_.way.end_of(timeline) / size_;
    }

    // The newest segment may be there in pieces.
    uint64_t tail_bytes(uint64_t number) {
        uint64_t sum = 0;
        const std::string directory =
            source_.cluster + "/" + place::tail_directory(name_on(source_.way, number, size_));
        repository_.store().list(directory, [&](const ObjectInfo& piece) {
            sum += piece.size;
            return true;
        });
        return sum;
    }

    Repository& repository_;
    const Resolved& source_;
    const uint64_t size_;
};

void describe(RecoveryAnswer& answer, const Resolved& source) {
    answer.detail = "Backup " + answer.backup_id + ", then " + std::to_string(answer.wal_segments) +
                    (answer.wal_segments == 1 ? " WAL segment" : " WAL segments") +
                    " on timeline " + std::to_string(answer.timeline) + ".";
    for (const std::string& warning : source.warnings)
        answer.detail += " " + sentence(warning);
}

RecoveryAnswer yes(Repository& repository, const Resolved& source) {
    const BackupMarker& backup = source.backup;
    const uint64_t size = backup.wal_segment_size;
    RecoveryAnswer answer;
    answer.possible = true;
    answer.backup_id = backup.backup_id;
    answer.timeline = source.way.timeline();
    answer.backup_bytes = backup.stored_bytes;
    answer.database_bytes = backup.database_bytes;
    const auto stop = find_stop(repository, source);
    if (stop) {
        answer.last_transaction = stop->last;
        answer.next_transaction = stop->next;
    }
    // At most all there is.
    const Lsn end = stop ? stop->lsn + 1 : source.wal_end;
    const uint64_t first = segment_number_of(backup.start_lsn, size);
    const uint64_t last = last_segment_number_before(end, size);
    answer.wal_segments = last - first + 1;
    answer.wal_bytes = StoredWal(repository, source).bytes(first, last);
    answer.replay_bytes = end - backup.start_lsn;
    describe(answer, source);
    return answer;
}

}  // namespace

RecoveryAnswer can_recover(Repository& repository, ArchivedWal& archive, const std::string& cluster,
                           UnixMicros target) {
    refuse_without_key(repository.store(), cluster, "finding out what can be recovered");
    try {
        return yes(repository, resolve(repository, archive, cluster, target));
    } catch (const Error& error) {
        if (!is_no(error))
            throw;
        RecoveryAnswer answer;
        answer.detail = sentence(error.message);
        if (!error.detail.empty())
            answer.detail += " " + sentence(error.detail);
        answer.hint = error.hint;
        return answer;
    }
}

}  // namespace ark
