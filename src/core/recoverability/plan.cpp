#include "core/recoverability/plan.hpp"

#include <algorithm>
#include <tuple>

namespace ark {

namespace {

uint64_t first_of(const BackupMarker& backup) {
    return segment_number_of(backup.start_lsn, backup.wal_segment_size);
}

uint64_t last_needed_by(const BackupMarker& backup) {
    return last_segment_number_before(backup.stop_lsn, backup.wal_segment_size);
}

TimelineId timeline_of(const TimelineHistory& way, uint64_t number, uint64_t segment_size) {
    return way.timeline_at((number + 1) * segment_size - 1);
}

// Where the server's own WAL ends that the repository should have; 0 where it says nothing.
uint64_t behind_finished(const WayFacts& facts) {
    return facts.local == nullptr ? 0 : facts.local->flushed / facts.segment_size;
}

// Collects missing segments, given in ascending order, into gaps.
class GapCollector {
 public:
    explicit GapCollector(const WayFacts& facts) : facts_(facts) {}

    // [first, last] is missing but for what waits.
    void add(uint64_t first, uint64_t last) {
        if (facts_.local != nullptr) {
            const auto& waiting = facts_.local->waiting;
            for (auto it = waiting.lower_bound(first); it != waiting.end() && *it <= last; ++it) {
                if (*it > first)
                    add_missing(first, *it - 1);
                first = *it + 1;
            }
        }
        if (first <= last)
            add_missing(first, last);
    }
    std::vector<WalGap> take() { return std::move(gaps_); }

 private:
    // A gap is of one timeline: across a fork its segments have names of both.
    void add_missing(uint64_t first, uint64_t last) {
        const uint64_t size = facts_.segment_size;
        for (const TimelineFork& fork : facts_.way.forks()) {
            const uint64_t border = fork.switch_point / size;
            if (border <= first || border > last)
                continue;
            put(first, border - 1);
            first = border;
        }
        put(first, last);
    }

    void put(uint64_t first, uint64_t last) {
        WalGap gap;
        gap.timeline = timeline_of(facts_.way, first, facts_.segment_size);
        gap.segment_size = facts_.segment_size;
        gap.first = first;
        gap.last = last;
        for (const BackupMarker& backup : facts_.backups) {
            if (first_of(backup) <= last)
                gap.backups.push_back(backup.backup_id);
        }
        gaps_.push_back(std::move(gap));
    }

    const WayFacts& facts_;
    std::vector<WalGap> gaps_;
};

void add_ids(std::vector<std::string>& to, const std::vector<std::string>& ids) {
    for (const std::string& id : ids) {
        if (std::ranges::find(to, id) == to.end())
            to.push_back(id);
    }
}

}  // namespace

std::string name_on(const TimelineHistory& way, uint64_t number, uint64_t segment_size) {
    return segment_name({timeline_of(way, number, segment_size), number}, segment_size);
}

std::vector<WalGap> gaps_of(const WayFacts& facts) {
    GapCollector collector(facts);
    if (facts.backups.empty())
        return {};
    uint64_t next = first_of(facts.backups.front());
    for (auto it = facts.present.lower_bound(next); it != facts.present.end(); ++it) {
        if (*it > next)
            collector.add(next, *it - 1);
        next = *it + 1;
    }
    // What a backup needs itself is missing also where nothing behind it is there.
    uint64_t end = behind_finished(facts);
    for (const BackupMarker& backup : facts.backups)
        end = std::max(end, last_needed_by(backup) + 1);
    if (next < end)
        collector.add(next, end - 1);
    return collector.take();
}

std::vector<WalGap> merge_gaps(std::vector<WalGap> gaps) {
    std::ranges::sort(gaps, {}, [](const WalGap& gap) {
        return std::tuple(gap.timeline, gap.segment_size, gap.first, gap.last);
    });
    std::vector<WalGap> out;
    for (WalGap& gap : gaps) {
        const bool joins = !out.empty() && out.back().timeline == gap.timeline &&
                           out.back().segment_size == gap.segment_size &&
                           gap.first <= out.back().last + 1;
        if (!joins) {
            out.push_back(std::move(gap));
            continue;
        }
        out.back().last = std::max(out.back().last, gap.last);
        add_ids(out.back().backups, gap.backups);
    }
    return out;
}

std::vector<BackupRun> runs_of(
    const WayFacts& facts,
    const std::function<std::optional<uint64_t>(uint64_t first)>& last_contiguous) {
    std::vector<BackupRun> runs;
    std::optional<uint64_t> reach;
    for (const BackupMarker& backup : facts.backups) {
        if (!reach || *reach < first_of(backup)) {
            reach = last_contiguous(first_of(backup));
            if (reach)
                runs.push_back({{}, *reach});
        }
        if (reach && last_needed_by(backup) <= *reach)
            runs.back().backups.push_back(backup);
    }
    std::erase_if(runs, [](const BackupRun& run) { return run.backups.empty(); });
    return runs;
}

bool is_open(const WayFacts& facts, const BackupRun& run) {
    if (facts.local == nullptr)
        return false;
    const uint64_t end = behind_finished(facts);
    uint64_t next = run.reach + 1;
    while (next < end && (facts.local->waiting.contains(next) || facts.present.contains(next)))
        ++next;
    return next >= end;
}

bool goes_on_elsewhere(const BackupRun& run, TimelineId timeline, Lsn end,
                       const TimelineHistory& other) {
    if (other.timeline() == timeline || !other.contains(timeline) || end > other.end_of(timeline))
        return false;
    return std::ranges::all_of(run.backups, [&](const BackupMarker& b) {
        return other.contains_range(b.timeline, b.start_lsn, b.stop_lsn);
    });
}

}  // namespace ark
