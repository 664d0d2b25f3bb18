#include "core/changes/change_chain.hpp"

#include <algorithm>
#include <utility>

#include "core/base/error.hpp"

namespace ark {

namespace {

// Adds what covers [from, to) of one timeline.
void cover_timeline(const ChangeRange& wanted, const std::vector<ChangeRange>& available,
                    ChangeCover& out) {
    Lsn at = wanted.from;
    while (at < wanted.to) {
        // The one that gets furthest, of those that begin here or before; else the next.
        const ChangeRange* best = nullptr;
        Lsn next = wanted.to;
        for (const ChangeRange& range : available) {
            if (range.from <= at && range.to > at && (best == nullptr || range.to > best->to))
                best = &range;
            if (range.from > at)
                next = std::min(next, range.from);
        }
        if (best != nullptr) {
            out.tables.push_back(*best);
            at = best->to;
        } else {
            out.gaps.push_back({wanted.timeline, at, next});
            at = next;
        }
    }
}

// Joins tables in their order; what is wrong with the next one is told, not thrown.
class Combination {
 public:
    explicit Combination(const ChangeQuestion& question) : question_(question) {}

    std::optional<std::string> add(const ChangeRange& range, const RangeChanges& changes) {
        if (changes.range != range || changes.system_identifier != question_.system_identifier)
            return "the change table for " + to_text(range) + " is of something else";
        if (changes.minimal_at >= question_.parent.start && changes.minimal_at != 0)
            return "wal_level was minimal at " + to_text(changes.minimal_at) +
                   ", so that not everything that changed is in WAL";
        // Tables that overlap share records: no link to check.
        if (last_ && changes.last_record != 0 && range.from == last_->to &&
            changes.previous_record != last_record_)
            return "the change table for " + to_text(range) +
                   " does not follow the one before it: it was made from other WAL";
        const BackupRange& parent = question_.parent;
        has_parent_ = has_parent_ || std::ranges::count(changes.backups,
                                                        EndedBackup{parent.start, parent.stop}) > 0;
        if (changes.last_record != 0)
            last_record_ = changes.last_record;
        if (last_record_ != 0)
            last_ = range;
        table_.merge(changes.table);
        return std::nullopt;
    }
    /// Where the tables are of other WAL than the parent, though its places are the same: the
    /// server was set back to an older copy of its files, and went on from there.
    std::optional<std::string> why_other_wal() const {
        if (has_parent_ || !question_.parent_has_end)
            return std::nullopt;
        return "the server's WAL does not have the end of the parent at " +
               to_text(question_.parent.stop) + ": it is other WAL than the parent's";
    }
    ChangeTable& table() { return table_; }

 private:
    const ChangeQuestion& question_;
    ChangeTable table_;
    std::optional<ChangeRange> last_;  ///< once a record was in one
    Lsn last_record_ = 0;
    bool has_parent_ = false;
};

std::optional<RangeChanges> load_undamaged(
    const std::function<std::optional<RangeChanges>(const ChangeRange&)>& load,
    const ChangeRange& range, std::string& why_not) {
    try {
        auto changes = load(range);
        if (!changes)
            why_not = "the change table for " + to_text(range) + " is not there any more";
        return changes;
    } catch (const Error& error) {
        if (error.code != ErrorCode::corrupt && error.code != ErrorCode::unsupported)
            throw;
        why_not = error.message;
        return std::nullopt;
    }
}

}  // namespace

ChangeCover cover(const TimelineHistory& way, Lsn start, Lsn end,
                  std::vector<ChangeRange> available) {
    std::erase_if(available, [&](const ChangeRange& range) {
        return !way.contains_range(range.timeline, range.from, range.to);
    });
    ChangeCover out;
    for (const TimelineId timeline : way.timelines()) {
        std::vector<ChangeRange> own;
        for (const ChangeRange& range : available) {
            if (range.timeline == timeline)
                own.push_back(range);
        }
        const ChangeRange wanted{timeline, std::max(start, way.begin_of(timeline)),
                                 std::min(end, way.end_of(timeline))};
        cover_timeline(wanted, own, out);
    }
    return out;
}

std::optional<std::string> why_no_parent(const ChangeQuestion& question) {
    const BackupRange& parent = question.parent;
    if (!question.way.contains_range(parent.timeline, parent.start, parent.stop)) {
        return "the parent's WAL, " + to_text(parent.start) + " to " + to_text(parent.stop) +
               " on timeline " + std::to_string(parent.timeline) +
               ", is not part of this server's history";
    }
    if (question.start < parent.stop) {
        return "the server's WAL is at " + to_text(question.start) +
               ", before the parent's end at " + to_text(parent.stop);
    }
    return std::nullopt;
}

ChangeAnswer combine_changes(
    const ChangeQuestion& question, const std::vector<ChangeRange>& available,
    const std::function<std::optional<RangeChanges>(const ChangeRange&)>& load) {
    ChangeAnswer answer;
    if (auto reason = why_no_parent(question)) {
        answer.why_not = std::move(*reason);
        return answer;
    }
    const BackupRange& parent = question.parent;
    const ChangeCover found = cover(question.way, parent.start, question.start, available);
    if (!found.gaps.empty()) {
        answer.why_not = "changes were not tracked for WAL from " + to_text(found.gaps.front());
        return answer;
    }
    Combination combination(question);
    for (const ChangeRange& range : found.tables) {
        const auto changes = load_undamaged(load, range, answer.why_not);
        if (!changes)
            return answer;
        if (auto reason = combination.add(range, *changes)) {
            answer.why_not = std::move(*reason);
            return answer;
        }
    }
    if (auto reason = combination.why_other_wal())
        answer.why_not = std::move(*reason);
    else
        answer.table = std::move(combination.table());
    return answer;
}

}  // namespace ark
