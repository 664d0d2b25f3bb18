#include "core/changes/changes_between.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "core/base/cancellation.hpp"
#include "core/base/error.hpp"
#include "core/changes/change_scan.hpp"
#include "core/changes/known_changes.hpp"
#include "core/changes/live_wal.hpp"
#include "core/changes/stored_changes.hpp"

namespace ark {

namespace {

// Errors that say what WAL or a table is, not where it cannot be reached.
bool is_its_content(const Error& error) {
    return error.code == ErrorCode::corrupt || error.code == ErrorCode::unsupported ||
           error.code == ErrorCode::invalid_key;
}

std::string why_not_read(const ChangeRange& range, const std::string& reason) {
    return "changes were not tracked for WAL from " + to_text(range) +
           ", and it cannot be read now: " + reason;
}

// Segments from pg_wal, else from the repository.
class Segments {
 public:
    Segments(const ChangeSources& sources, const ChangeQuestion& question, ChangeCost& cost)
        : sources_(sources), cost_(cost) {
        if (!sources.data_directory.empty())
            live_.emplace(sources.data_directory, question.way, sources.segment_size,
                          question.start);
    }

    std::optional<ByteView> read(uint64_t number) {
        if (cancellation_time() != 0)
            throw Error(ErrorCode::cancelled, "reading WAL was cancelled");
        if (live_ && !not_live_.contains(number)) {
            if (auto bytes = live_->read(number)) {
                from_live_.insert(number);
                ++cost_.live_segments;
                return bytes;
            }
        }
        from_live_.erase(number);
        if (!counted_.contains(number)) {
            if ((counted_.size() + 1) * sources_.segment_size > sources_.max_archived_bytes)
                return std::nullopt;
            counted_.insert(number);
            ++cost_.archived_segments;
        }
        return sources_.archived(number);
    }

    /// Of the segments in [from, to) those that only the repository has.
    uint64_t only_archived(Lsn from, Lsn to) const {
        uint64_t count = 0;
        const uint64_t last = last_segment_number_before(to, sources_.segment_size);
        for (uint64_t number = from / sources_.segment_size; number <= last; ++number) {
            if (!live_ || !live_->has(number))
                ++count;
        }
        return count;
    }

    /// Whether the segment came from pg_wal when it was read last: from here on it does not. The
    /// server may have used its file anew.
    bool give_up_live(uint64_t number) {
        return from_live_.contains(number) && not_live_.insert(number).second;
    }

 private:
    const ChangeSources& sources_;
    ChangeCost& cost_;
    std::optional<LiveWal> live_;
    std::set<uint64_t> not_live_;
    std::set<uint64_t> from_live_;
    std::set<uint64_t> counted_;
};

class Finder {
 public:
    Finder(const ChangeSources& sources, const ChangeQuestion& question, ChangeCost& cost)
        : sources_(sources), question_(question), cost_(cost), segments_(sources, question, cost) {
        if (!sources.data_directory.empty())
            local_.emplace(sources.data_directory);
    }

    ChangeAnswer find() {
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

 private:
    const LocalChanges* local() const { return local_ ? &*local_ : nullptr; }

    std::optional<RangeChanges> load(const ChangeRange& range) {
        const auto found = scanned_.find(range);
        if (found != scanned_.end())
            return found->second;
        std::optional<RangeChanges> changes;
        try {
            changes = load_known_changes(sources_.store, sources_.cluster, local(), range);
        } catch (const Error& error) {
            if (!is_its_content(error))
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
            archived += segments_.only_archived(gap.from, gap.to);
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
                if (!is_its_content(error))
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
            if (error.code != ErrorCode::conflict && !is_its_content(error))
                throw;
        }
    }

    const ChangeSources& sources_;
    const ChangeQuestion& question_;
    ChangeCost& cost_;
    Segments segments_;
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
