#include "core/drill/drill_target.hpp"

#include <algorithm>
#include <random>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/repo/json_text.hpp"
#include "core/restore/plan.hpp"
#include "core/restore/tree.hpp"

namespace ark {

namespace {

constexpr int kDraws = 5;

// Where a range ends for a target by LSN, as far as it is known.
Lsn end_of(const RecoverableRange& range) {
    return std::max(range.from_lsn, range.until_lsn.value_or(range.wal_end.value_or(0)));
}

uint64_t length_of(const RecoverableRange& range) {
    return end_of(range) - range.from_lsn;
}

// Nothing lies behind the begin: the begin is the range.
RandomPoint begin_of(const RecoverableRange& range) {
    RandomPoint point;
    point.target.kind = TargetKind::immediate;
    point.timeline = range.timeline;
    return point;
}

void tell_point(nlohmann::json& told, const RandomPoint& point) {
    nlohmann::json out{{"timeline", point.timeline}};
    if (point.target.kind == TargetKind::lsn)
        out["lsn"] = to_text(point.target.lsn);
    if (point.target.kind == TargetKind::time)
        out["time"] = to_iso8601(point.target.time);
    told["point"] = std::move(out);
}

RestoreWish wish_of(const RandomPoint& point, const std::string& backup_id) {
    RestoreWish wish;
    wish.backup_id = backup_id;
    wish.target = point.target;
    wish.timeline = {TimelineWish::Kind::number, point.timeline};
    return wish;
}

// A restore has other words for its targets than a drill.
Resolved resolve_for_drill(Repository& repository, ArchivedWal& wal, const std::string& cluster,
                           const RestoreWish& wish) {
    try {
        return resolve_wish(repository, wal, cluster, wish);
    } catch (UnreachableWish& error) {
        error.hint =
            "\"pg_ark ranges\", and ark.recoverable_ranges, say what can be reached; the target "
            "\"latest\" is all there is.";
        throw;
    }
}

class RandomChoice {
 public:
    RandomChoice(Repository& repository, ArchivedWal& wal, const std::string& cluster,
                 const std::string& backup_id, const DrillTarget& target, nlohmann::json& told)
        : repository_(repository),
          wal_(wal),
          cluster_(cluster),
          backup_id_(backup_id),
          target_(target),
          told_(told) {}

    // Behind the last transaction's begin there may be no record at which recovery could stop:
    // another point is drawn then.
    Resolved run(RestoreWish& wish) {
        const std::vector<RecoverableRange> ranges = find_ranges();
        uint64_t seed = target_.seed ? *target_.seed : new_seed();
        told_["seed"] = seed;
        for (int draw = 1;; ++draw, ++seed) {
            const auto point = draw_point(ranges, seed);
            if (!point)
                throw nothing_to_draw();
            tell_point(told_, *point);
            wish = wish_of(*point, backup_id_);
            try {
                return resolve_for_drill(repository_, wal_, cluster_, wish);
            } catch (const Error& error) {
                if (error.code != ErrorCode::target_unreachable || draw == kDraws ||
                    !is_near_end(ranges, *point))
                    throw;
            }
        }
    }

 private:
    std::vector<RecoverableRange> find_ranges() {
        RecoverabilitySurvey survey(repository_, cluster_);
        std::vector<RecoverableRange> ranges = survey.ranges();
        if (backup_id_.empty())
            return ranges;
        const auto backup = find_backup(repository_, cluster_, backup_id_);
        if (!backup)
            throw Error(ErrorCode::not_found, "backup \"" + backup_id_ + "\" does not exist", {},
                        "\"pg_ark list\" shows which there are.");
        return ranges_from(ranges, *backup, wal_);
    }

    Error nothing_to_draw() const {
        return {ErrorCode::target_unreachable,
                backup_id_.empty() ? "there is nothing that can be recovered"
                                   : "backup \"" + backup_id_ + "\" leads to nothing",
                "A random point is drawn from what can be recovered, and the WAL that it takes is "
                "not in the repository.",
                "\"pg_ark check\" and \"pg_ark ranges\" say what there is."};
    }

    // None that could not be given back: to the server 0 is none.
    static uint64_t new_seed() { return std::max<uint64_t>(std::random_device()(), 1); }

    static bool is_near_end(const std::vector<RecoverableRange>& ranges, const RandomPoint& point) {
        constexpr Lsn kNear = 64 << 10;
        return point.target.kind == TargetKind::lsn &&
               std::ranges::any_of(ranges, [&](const RecoverableRange& range) {
                   return range.timeline == point.timeline &&
                          point.target.lsn + kNear > end_of(range) &&
                          point.target.lsn <= end_of(range);
               });
    }

    Repository& repository_;
    ArchivedWal& wal_;
    const std::string& cluster_;
    const std::string& backup_id_;
    const DrillTarget& target_;
    nlohmann::json& told_;
};

RestoreWish wish_of(const DrillTarget& target, const std::string& backup_id) {
    RestoreWish wish;
    wish.backup_id = backup_id;
    switch (target.kind) {
        case DrillTarget::Kind::consistency:
            wish.target.kind = TargetKind::immediate;
            break;
        case DrillTarget::Kind::time:
            wish.target.kind = TargetKind::time;
            wish.target.time = target.time;
            break;
        case DrillTarget::Kind::latest:
        case DrillTarget::Kind::random:
            break;
    }
    return wish;
}

// "before 2026-11-20 02:15:00.5+00": when what recovery did not replay any more was committed.
std::optional<UnixMicros> stop_time_in(const std::string& reason) {
    constexpr std::string_view kBefore = "before ";
    return reason.starts_with(kBefore) ? parse_time(reason.substr(kBefore.size()), false)
                                       : std::nullopt;
}

std::optional<std::string> why_not_time(UnixMicros target, const ReachedPoint& reached) {
    const auto last =
        reached.last_transaction ? parse_time(*reached.last_transaction, false) : std::nullopt;
    if (last && *last > target)
        return "a transaction of " + *reached.last_transaction + " came back, which is later";
    const auto stop = stop_time_in(reached.reason);
    if (!reached.reason.starts_with("before ") || (stop && *stop <= target))
        return "recovery stopped for another reason: " + reached.reason;
    return std::nullopt;
}

}  // namespace

const char* name_of(DrillTarget::Kind kind) noexcept {
    switch (kind) {
        case DrillTarget::Kind::consistency:
            return "consistency";
        case DrillTarget::Kind::latest:
            return "latest";
        case DrillTarget::Kind::time:
            return "time";
        case DrillTarget::Kind::random:
            break;
    }
    return "random";
}

DrillTarget parse_drill_target(const std::string& text, UnixMicros now) {
    DrillTarget target;
    target.asked = text;
    for (const auto kind :
         {DrillTarget::Kind::consistency, DrillTarget::Kind::latest, DrillTarget::Kind::random}) {
        if (text == name_of(kind)) {
            target.kind = kind;
            return target;
        }
    }
    try {
        TargetWords words;
        words.time = text;
        target.kind = DrillTarget::Kind::time;
        target.time = parse_target(words, now).time;
    } catch (Error& error) {
        if (error.code == ErrorCode::invalid_argument)
            error.hint =
                "The target of a drill is consistency, latest, random, or a time such as "
                "'2026-11-20 14:03:00+02'.";
        throw;
    }
    return target;
}

std::optional<RandomPoint> draw_point(const std::vector<RecoverableRange>& ranges, uint64_t seed) {
    if (ranges.empty())
        return std::nullopt;
    std::mt19937_64 random(seed);
    uint64_t all = 0;
    for (const RecoverableRange& range : ranges)
        all += length_of(range);
    if (all == 0)
        return begin_of(ranges[random() % ranges.size()]);
    uint64_t place = random() % all;
    size_t i = 0;
    while (place >= length_of(ranges[i]))
        place -= length_of(ranges[i++]);
    const RecoverableRange& range = ranges[i];
    RandomPoint point;
    point.timeline = range.timeline;
    const bool by_time = random() % 2 == 0;
    if (by_time && range.until_time && *range.until_time > range.from_time) {
        point.target.kind = TargetKind::time;
        point.target.time =
            range.from_time +
            static_cast<UnixMicros>(random() %
                                    static_cast<uint64_t>(*range.until_time - range.from_time));
    } else {
        point.target.kind = TargetKind::lsn;
        point.target.lsn = range.from_lsn + place;
    }
    return point;
}

std::vector<RecoverableRange> ranges_from(const std::vector<RecoverableRange>& ranges,
                                          const BackupMarker& backup, ArchivedWal& wal) {
    std::vector<RecoverableRange> out;
    for (RecoverableRange range : ranges) {
        const bool inside = range.from_lsn <= backup.stop_lsn &&
                            backup.stop_lsn <= std::max(end_of(range), range.wal_end.value_or(0));
        if (!inside || !wal.history_of(range.timeline)
                            .contains_range(backup.timeline, backup.start_lsn, backup.stop_lsn))
            continue;
        range.from_lsn = backup.stop_lsn;
        range.from_time = backup.stopped_at;
        out.push_back(std::move(range));
    }
    return out;
}

ChosenTarget choose_target(Repository& repository, ArchivedWal& wal, const std::string& cluster,
                           const std::string& backup_id, const DrillTarget& target,
                           nlohmann::json& told) {
    told["kind"] = name_of(target.kind);
    told["asked"] = json_of_text(target.asked);
    ChosenTarget out;
    if (target.kind == DrillTarget::Kind::random) {
        out.source = RandomChoice(repository, wal, cluster, backup_id, target, told).run(out.wish);
    } else {
        out.wish = wish_of(target, backup_id);
        out.source = resolve_for_drill(repository, wal, cluster, out.wish);
    }
    // What is restored is what was found now, whatever comes meanwhile.
    out.wish.backup_id = out.source.backup.backup_id;
    out.wish.timeline = {TimelineWish::Kind::number, out.source.way.timeline()};
    return out;
}

std::optional<std::string> last_transaction_in(const std::string& log) {
    constexpr std::string_view kWords = "last completed transaction was at log time ";
    const size_t at = log.rfind(kWords);
    if (at == std::string::npos)
        return std::nullopt;
    const size_t begin = at + kWords.size();
    return log.substr(begin, log.find('\n', begin) - begin);
}

std::optional<ReachedPoint> reached_point(const std::string& data_directory, const std::string& log,
                                          const TimelineHistory& way) {
    constexpr size_t kLimit = 1 << 20;
    const std::string directory = data_directory + "/pg_wal";
    TimelineId newest = 0;
    for (const std::string& name : names_in_directory(directory)) {
        const auto parsed = parse_wal_file_name(name);
        if (parsed && parsed->kind == WalFileKind::history)
            newest = std::max(newest, parsed->timeline);
    }
    if (newest == 0)
        return std::nullopt;
    const Bytes content = read_file(join_path(directory, history_name(newest)), kLimit);
    const TimelineHistory history = TimelineHistory::parse(newest, as_text(content));
    if (history.forks().empty())
        return std::nullopt;
    const TimelineFork& last = history.forks().back();
    // The parent is the timeline that was named as the target, reached or not.
    const TimelineId timeline = last.parent == way.timeline() && last.switch_point > 0
                                    ? way.timeline_at(last.switch_point - 1)
                                    : last.parent;
    return ReachedPoint{last.switch_point, timeline, last.reason, last_transaction_in(log)};
}

std::optional<std::string> why_not_reached(const Resolved& source, const ReachedPoint& reached) {
    const auto short_of = [&](const std::string& what, Lsn lsn) {
        return "recovery ended at LSN " + to_text(reached.lsn) + ", before " + what + ", " +
               to_text(lsn) + " (" + reached.reason + ")";
    };
    if (reached.lsn < source.backup.stop_lsn)
        return short_of("the end of the backup", source.backup.stop_lsn);
    if (!source.way.contains(reached.timeline))
        return "recovery ended on timeline " + std::to_string(reached.timeline) +
               ", which is not on the way to timeline " + std::to_string(source.way.timeline());
    switch (source.target.kind) {
        case TargetKind::latest:
            if (reached.lsn < source.wal_end)
                return short_of("the end of the archived WAL", source.wal_end);
            break;
        case TargetKind::lsn:
            if (reached.lsn <= source.target.lsn)
                return short_of("the target", source.target.lsn);
            break;
        case TargetKind::time:
            return why_not_time(source.target.time, reached);
        case TargetKind::immediate:
        case TargetKind::xid:
        case TargetKind::name:
            break;
    }
    return std::nullopt;
}

}  // namespace ark
