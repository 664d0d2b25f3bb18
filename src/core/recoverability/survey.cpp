#include "core/recoverability/survey.hpp"

#include <unistd.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "core/archive/wal_scan.hpp"
#include "core/archive/wal_source.hpp"
#include "core/base/error.hpp"
#include "core/base/fault.hpp"
#include "core/recoverability/limited_wal.hpp"
#include "core/recoverability/local_wal.hpp"
#include "core/repo/chain.hpp"
#include "core/repo/vault_store.hpp"
#include "core/restore/plan.hpp"

namespace ark {

namespace {

// Segments that a server may have stored before an earlier one (archive/push_ahead.hpp), and some;
// and how long the earlier one may take.
constexpr uint64_t kStoredAhead = 80;
constexpr useconds_t kPatienceMicros = 1000000;

bool can_be_read(RepositoryWal& wal, uint64_t number) {
    try {
        return wal.read_segment(number).has_value();
    } catch (const Error& error) {
        if (error.code != ErrorCode::corrupt)
            throw;
        return true;  // what it is worth is another question
    }
}

bool holds_fork(const RepositoryWal& wal, uint64_t number) {
    return std::ranges::any_of(wal.history().forks(), [&](const TimelineFork& fork) {
        return fork.switch_point / wal.segment_size() == number;
    });
}

// Segments on the way: those that are listed, and those beside them that can be read all the same,
// from pieces. What an ancestor has of one that holds a fork stands in for the newer timeline's
// only where that one has nothing behind it.
std::set<uint64_t> present_from(RepositoryWal& wal, uint64_t first) {
    const std::set<uint64_t> listed = wal.listed(first);
    std::set<uint64_t> present = listed;
    uint64_t next = first;
    for (const uint64_t number : listed) {
        while (next < number && !holds_fork(wal, next) && can_be_read(wal, next))
            present.insert(next++);
        next = number + 1;
    }
    while (can_be_read(wal, next))
        present.insert(next++);
    return present;
}

bool is_near_end(const std::vector<WalGap>& gaps, const std::set<uint64_t>& present) {
    return !gaps.empty() && !present.empty() && gaps.back().last + kStoredAhead > *present.rbegin();
}

// Sets what only WAL itself tells.
void read_moments(WalSource& wal, const BackupRun& run, RecoverableRange& range) {
    LimitedWal limited(wal, run.reach);
    const auto last = last_transaction(limited, run.backups.front().stop_lsn);
    if (last) {
        range.until_time = last->time;
        range.until_lsn = last->end;
    } else if (!limited.is_exhausted()) {
        range.until_time = run.backups.back().stopped_at;
        range.until_lsn = run.backups.back().stop_lsn;
    }
    LimitedWal anew(wal, run.reach);
    range.wal_end = end_of_wal(anew, run.backups.back().stop_lsn);
}

}  // namespace

RecoverabilitySurvey::RecoverabilitySurvey(Repository& repository, std::string cluster,
                                           std::optional<ThisServer> server)
    : repository_(repository), cluster_(std::move(cluster)), server_(std::move(server)) {
    refuse_without_key(repository_.store(), cluster_, "finding out what can be recovered");
    std::vector<std::string> bad;
    backups_ = list_backups(repository_, cluster_, &bad);
    for (const std::string& what : bad)
        warnings_.push_back("a backup's marker could not be read: " + what);
    leave_out_broken(
        backups_, [&](const std::string& id) { return find_chain_link(repository_, cluster_, id); },
        warnings_);
    load_ways();
    PG_ARK_FAULT_POINT("recoverability_listed");
}

void RecoverabilitySurvey::load_ways() {
    if (backups_.empty())
        return;
    std::set<TimelineId> timelines;
    for (const BackupMarker& backup : backups_)
        timelines.insert(backup.timeline);
    for (const std::string& part : repository_.store().list_parts(cluster_ + "/wal")) {
        const auto parsed = parse_wal_file_name(part + ".history");
        if (parsed && parsed->kind == WalFileKind::history)
            timelines.insert(parsed->timeline);
    }
    for (const TimelineId timeline : timelines)
        add_way(timeline);
}

void RecoverabilitySurvey::add_way(TimelineId timeline) {
    try {
        const TimelineHistory history = load_timeline_history(repository_, cluster_, timeline);
        std::map<uint64_t, std::vector<BackupMarker>> by_size;
        for (BackupMarker& backup : backups_on(history, backups_))
            by_size[backup.wal_segment_size].push_back(std::move(backup));
        for (auto& [size, backups] : by_size)
            ways_.push_back({history, size, std::move(backups)});
    } catch (const Error& error) {
        if (error.code != ErrorCode::not_found && error.code != ErrorCode::corrupt)
            throw;
        warnings_.push_back(error.message + ": what lies on timeline " + std::to_string(timeline) +
                            " is not looked at");
    }
}

std::optional<LocalWal> RecoverabilitySurvey::local_on(const Way& way) const {
    if (!server_ || server_->timeline != way.history.timeline() ||
        server_->segment_size != way.segment_size) {
        return std::nullopt;
    }
    return read_local_wal(server_->data_directory, server_->timeline, server_->flushed,
                          server_->segment_size);
}

bool RecoverabilitySurvey::is_elsewhere(const Way& way, const BackupRun& run, Lsn end) const {
    return std::ranges::any_of(ways_, [&](const Way& other) {
        return other.segment_size == way.segment_size &&
               goes_on_elsewhere(run, way.history.timeline(), end, other.history);
    });
}

std::vector<RecoverableRange> RecoverabilitySurvey::ranges() {
    std::vector<RecoverableRange> out;
    for (const Way& way : ways_)
        std::ranges::move(ranges_on(way), std::back_inserter(out));
    return out;
}

// Damaged pieces end what can be recovered, and hide nothing that lies before them.
std::optional<uint64_t> RecoverabilitySurvey::last_contiguous(RepositoryWal& wal, uint64_t first) {
    std::optional<Error> damage;
    const auto last = wal.last_readable(first, std::numeric_limits<uint64_t>::max(), damage);
    if (damage)
        warnings_.push_back(damage->message + ": recovery cannot pass it");
    return last;
}

// Two ways may lead to it.
void RecoverabilitySurvey::note_damaged_end(const Error& damage) {
    const bool is_told = std::ranges::any_of(
        damaged_ends_, [&](const Error& told) { return told.message == damage.message; });
    if (!is_told)
        damaged_ends_.push_back(damage);
}

std::vector<RecoverableRange> RecoverabilitySurvey::ranges_on(const Way& way) {
    RepositoryWal wal(repository_, cluster_, way.segment_size, way.history);
    // Before anything is listed.
    const std::optional<LocalWal> local = local_on(way);
    WayFacts facts{way.history, way.segment_size, way.backups, {}, local ? &*local : nullptr};
    std::vector<RecoverableRange> out;
    for (const BackupRun& run :
         runs_of(facts, [&](uint64_t first) { return last_contiguous(wal, first); })) {
        if (is_elsewhere(way, run, (run.reach + 1) * way.segment_size))
            continue;
        RecoverableRange range;
        range.timeline = way.history.timeline();
        range.first_backup = run.backups.front().backup_id;
        range.last_backup = run.backups.back().backup_id;
        range.backups = run.backups.size();
        range.from_time = run.backups.front().stopped_at;
        range.from_lsn = run.backups.front().stop_lsn;
        range.last_segment = name_on(way.history, run.reach, way.segment_size);
        try {
            read_moments(wal, run, range);
        } catch (const Error& error) {
            if (error.code != ErrorCode::corrupt)
                throw;
            warnings_.push_back(error.message +
                                ": when the last transaction in it ended is not "
                                "known");
        }
        if (range.until_lsn && is_elsewhere(way, run, *range.until_lsn))
            continue;
        if (local)
            facts.present = wal.listed(run.reach + 1);
        range.is_open = is_open(facts, run);
        out.push_back(std::move(range));
    }
    if (wal.damage())
        note_damaged_end(*wal.damage());
    return out;
}

std::vector<WalGap> RecoverabilitySurvey::gaps() {
    std::vector<WalGap> out;
    // From the newest: a backup asks for the way that leads furthest, and for no other.
    std::set<std::string> asked;
    std::vector<Way> newest_first(ways_.rbegin(), ways_.rend());
    for (Way& rest : newest_first) {
        std::erase_if(rest.backups,
                      [&](const BackupMarker& b) { return asked.contains(b.backup_id); });
        for (const BackupMarker& backup : rest.backups)
            asked.insert(backup.backup_id);
        if (!rest.backups.empty())
            std::ranges::move(gaps_on(rest), std::back_inserter(out));
    }
    out = merge_gaps(std::move(out));
    if (server_) {
        for (WalGap& gap : out)
            look_in_pg_wal(server_->data_directory, gap);
    }
    return out;
}

std::vector<WalGap> RecoverabilitySurvey::gaps_on(const Way& way) {
    RepositoryWal wal(repository_, cluster_, way.segment_size, way.history);
    // Before anything is listed.
    const std::optional<LocalWal> local = local_on(way);
    const uint64_t first =
        segment_number_of(way.backups.front().start_lsn, way.backups.front().wal_segment_size);
    WayFacts facts{way.history, way.segment_size, way.backups, present_from(wal, first),
                   local ? &*local : nullptr};
    std::vector<WalGap> gaps = gaps_of(facts);
    // Another host's server stores segments out of order: what is missing may be on its way.
    if (!local && is_near_end(gaps, facts.present)) {
        ::usleep(kPatienceMicros);
        facts.present.merge(present_from(wal, gaps.front().first));
        gaps = gaps_of(facts);
    }
    return gaps;
}

}  // namespace ark
