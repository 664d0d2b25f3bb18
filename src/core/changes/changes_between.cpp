#include "core/changes/changes_between.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "core/base/error.hpp"
#include "core/changes/change_scan.hpp"
#include "core/changes/known_changes.hpp"
#include "core/changes/stored_changes.hpp"
#include "core/changes/wal_places.hpp"

namespace ark {

namespace {

std::string why_not_read(const ChangeRange& range, const std::string& reason) {
    return "changes were not tracked for WAL from " + to_text(range) +
           ", and it cannot be read now: " + reason;
}

class Finder {
 public:
    Finder(const ChangeSources& sources, const ChangeQuestion& question, ChangeCost& cost)
        : sources_(sources),
          question_(question),
          cost_(cost),
          segments_(live_wal(sources, question), sources.archived, sources.segment_size,
                    sources.max_archived_bytes) {
        if (!sources.data_directory.empty())
            local_.emplace(sources.data_directory);
    }

    ChangeAnswer find() {
        ChangeAnswer answer = find_all();
        cost_.live_segments = segments_.live_segments();
        cost_.archived_segments = segments_.archived_segments();
        return answer;
    }

 private:
    static std::optional<LiveWal> live_wal(const ChangeSources& sources,
                                           const ChangeQuestion& question) {
        if (sources.data_directory.empty())
            return std::nullopt;
        return LiveWal(sources.data_directory, question.way, sources.segment_size, question.start);
    }

    ChangeAnswer find_all() {
        available_ = available_changes(sources_.store, sources_.cluster, local(), question_.way,
                                       question_.parent.start);
        for (;;) {
            if (auto reason = scan_gaps())
                return {std::nullopt, std::move(*reason)};
            unreadable_.reset();
            cost_.tables = 0;
            ChangeAnswer answer = combine_changes(
                question_, available_, [this](const ChangeRange& range) { return load(range); });
            if (!unreadable_)
                return answer;
            // Its WAL may be there still.
            std::erase(available_, *unreadable_);
        }
    }

    const LocalChanges* local() const { return local_ ? &*local_ : nullptr; }

    std::optional<RangeChanges> load(const ChangeRange& range) {
        const auto found = scanned_.find(range);
        if (found != scanned_.end())
            return found->second;
        std::optional<RangeChanges> changes;
        try {
            changes = load_known_changes(sources_.store, sources_.cluster, local(), range);
        } catch (const Error& error) {
            if (!is_of_content(error))
                throw;
        }
        if (changes) {
            ++cost_.tables;
        } else {
            unreadable_ = range;
        }
        return changes;
    }

    // Makes tables for what none has; a reason where that cannot be.
    std::optional<std::string> scan_gaps() {
        const ChangeCover found =
            cover(question_.way, question_.parent.start, question_.start, available_);
        uint64_t archived = 0;
        for (const ChangeRange& gap : found.gaps)
            archived += segments_.not_live(gap.from, gap.to);
        if (archived * sources_.segment_size > sources_.max_archived_bytes) {
            return "changes were not tracked for WAL from " + to_text(found.gaps.front()) +
                   (found.gaps.size() > 1
                        ? " and " + std::to_string(found.gaps.size() - 1) + " more stretches"
                        : "") +
                   ", and " + std::to_string(archived) +
                   " WAL segments would have to be read in the repository";
        }
        for (const ChangeRange& gap : found.gaps) {
            try {
                if (auto reason = scan(gap))
                    return reason;
            } catch (const Error& error) {
                if (!is_of_content(error))
                    throw;
                return why_not_read(gap, error.message);
            }
        }
        return std::nullopt;
    }

    std::optional<std::string> scan(const ChangeRange& gap) {
        const uint64_t size = sources_.segment_size;
        // Where tables begin: at the start of a segment, or of the timeline.
        const Lsn from = std::max(gap.from / size * size, question_.way.begin_of(gap.timeline));
        const Lsn timeline_end = question_.way.end_of(gap.timeline);
        ChangeScan scan(gap.timeline, from, size,
                        [this](uint64_t number) { return segments_.read(number); });
        for (Lsn at = from; at < gap.to;) {
            const Lsn to = end_of_table(at, change_span(size), std::min(gap.to, timeline_end));
            const ScanEnd end = to == timeline_end ? ScanEnd::of_timeline : ScanEnd::more;
            while (!scan.read_to(to, end)) {
                if (!segments_.give_up_live(scan.stop().at / size))
                    return why_not_read(
                        gap, scan.stop().reason + " (at " + to_text(scan.stop().at) + ")");
            }
            RangeChanges changes = scan.take();
            const bool is_whole = to % size == 0 || to == timeline_end;
            if (is_whole)
                store(changes);
            available_.push_back(changes.range);
            scanned_[changes.range] = std::move(changes);
            at = to;
        }
        return std::nullopt;
    }

    // It helps the next backup, and matters to nobody else.
    void store(const RangeChanges& changes) {
        if (!sources_.writer)
            return;
        try {
            store_changes(sources_.store, sources_.cluster, changes, *sources_.writer);
        } catch (const Error& error) {
            // One of the name is there, and damaged.
            if (error.code != ErrorCode::conflict && !is_of_content(error))
                throw;
        }
    }

    const ChangeSources& sources_;
    const ChangeQuestion& question_;
    ChangeCost& cost_;
    WalPlaces segments_;
    std::optional<LocalChanges> local_;
    std::vector<ChangeRange> available_;
    std::map<ChangeRange, RangeChanges> scanned_;
    std::optional<ChangeRange> unreadable_;
};

}  // namespace

ChangeAnswer changes_between(const ChangeSources& sources, const ChangeQuestion& question,
                             ChangeCost* cost) {
    if (auto reason = why_no_parent(question))
        return {std::nullopt, std::move(*reason)};
    ChangeCost own;
    return Finder(sources, question, cost != nullptr ? *cost : own).find();
}

}  // namespace ark
