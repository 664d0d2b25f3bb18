#include "core/changes/change_tracker.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/changes/change_chain.hpp"
#include "core/changes/known_changes.hpp"
#include "core/changes/stored_changes.hpp"
#include "core/repo/vault_store.hpp"

namespace ark {

namespace {

// The largest page of WAL that a server can be built with.
constexpr uint64_t kLargestPage = 65536;
constexpr uint64_t kUsualPage = 8192;
// Files of pg_wal that are kept open until they were read.
constexpr size_t kMostHeld = 128;

}  // namespace

ChangeTracker::ChangeTracker(TrackerSetup setup, std::function<void(const Error&)> warn)
    : setup_(std::move(setup)),
      warn_(std::move(warn)),
      places_(
          LiveWal(setup_.data_directory, setup_.way, setup_.segment_size, 0, LiveEnd::whole_pages),
          setup_.archived, setup_.segment_size, std::numeric_limits<uint64_t>::max()),
      backups_(setup_.repository, setup_.cluster, setup_.way),
      local_(setup_.data_directory),
      summary_(setup_.summary_bytes) {}

void ChangeTracker::look_at_backups() {
    backups_.look();
    if (started_)
        prune();
}

bool ChangeTracker::step(Lsn flushed) {
    flushed_ = flushed;
    places_.set_flushed(flushed);
    if (!started_)
        start();
    places_.hold(status_.position / setup_.segment_size, kMostHeld);
    if (finished_) {
        store_finished();
        return true;
    }
    summarize();
    if (!scan_)
        begin_scan();
    const Lsn next = scan_ ? end_of_table(read_, setup_.segment_size, table_end_) : 0;
    if (!scan_ || next > flushed || flushed < wait_for_)
        return false;
    read();
    return wait_for_ <= flushed;
}

std::optional<ChangeCount> ChangeTracker::count() const {
    ChangeTable unstored;
    if (finished_)
        unstored.merge(finished_->table);
    if (scan_)
        unstored.merge(scan_->table());
    return summary_.count(unstored);
}

// Segments before it are whole.
Lsn ChangeTracker::behind_flushed_segments() const {
    return flushed_ / setup_.segment_size * setup_.segment_size;
}

void ChangeTracker::start() {
    backups_.look();
    const std::vector<Lsn> starts = backups_.starts(flushed_);
    const TimelineId timeline = setup_.way.timeline();
    const Lsn begin = std::max(behind_flushed_segments(), setup_.way.begin_of(timeline));
    at_ = starts.empty() ? begin : starts.front();
    available_ =
        available_changes(setup_.repository.store(), setup_.cluster, &local_, setup_.way, at_);
    // Of WAL that this server does not have yet: it was set back. It makes its own.
    std::erase_if(available_, [this](const ChangeRange& range) { return range.to > flushed_; });
    started_ = true;
    status_.timeline = timeline;
    status_.position = at_;
    begin_scan();
    prune();
}

// The next stretch that no table has.
void ChangeTracker::begin_scan() {
    const uint64_t size = setup_.segment_size;
    const auto found = cover(setup_.way, at_, kMaxLsn, available_);
    const ChangeRange gap = found.gaps.front();
    const Lsn from = std::max(gap.from / size * size, setup_.way.begin_of(gap.timeline));
    const Lsn end = std::min(gap.to, setup_.way.end_of(gap.timeline));
    // What has gone from pg_wal and is too much to be fetched is left out.
    const Lsn whole = std::min(end, std::max(behind_flushed_segments(), from));
    Lsn live = whole;
    while (live > from && places_.is_live((live - 1) / size))
        live = std::max((live - 1) / size * size, from);
    if (live - from > setup_.most_archived_bytes)
        return skip(from, live,
                    std::to_string((live - from) / size) +
                        " WAL segments would have to be read in the repository");
    at_ = from;
    timeline_ = gap.timeline;
    table_end_ = end_of_table(from, change_span(size), end);
    read_ = from;
    wait_for_ = 0;
    live_trouble_.clear();
    status_.position = status_.stored = from;
    scan_.emplace(timeline_, from, size, [this](uint64_t number) { return places_.read(number); });
}

void ChangeTracker::read() {
    const uint64_t size = setup_.segment_size;
    const Lsn to = end_of_table(read_, size, table_end_);
    const bool is_last = to == setup_.way.end_of(timeline_);
    try {
        if (!scan_->read_to(to, is_last ? ScanEnd::of_timeline : ScanEnd::more)) {
            const WalStop stop = scan_->stop();
            const std::string reason = stop.reason + " (at " + to_text(stop.at) + ")";
            if (is_record_to_come())
                wait_for_ = std::max(stop.at + kUsualPage, flushed_ + 1);
            else if (places_.give_up_live(stop.at / size))
                live_trouble_ = reason;
            else
                skip(at_, (stop.at / size + 1) * size,
                     live_trouble_.empty() ? reason : live_trouble_);
            return;
        }
    } catch (const Error& error) {
        if (!is_of_content(error))
            throw;
        const Lsn stopped = std::max(scan_->position(), read_);
        return skip(at_, (stopped / size + 1) * size, error.message);
    }
    live_trouble_.clear();
    ++status_.segments;
    status_.bytes += to - read_;
    read_ = status_.position = to;
    // A host that cannot read the repository cannot read again what it has not stored.
    if (cuts_ > 0 || only_writes(setup_.repository.store(), setup_.cluster))
        table_end_ = to;
    cuts_ = std::max(cuts_ - 1, 0);
    if (to == table_end_)
        finish_table();
}

// It begins in a segment that is whole, and what is flushed behind that does not have all of it.
bool ChangeTracker::is_record_to_come() const {
    const WalStop& stop = scan_->stop();
    return stop.kind == WalStopKind::missing_segment && stop.at + kLargestPage > flushed_;
}

// [from, to) has no table, nor will it have one. What was read of it goes too: who would need that
// needs the rest as well.
void ChangeTracker::skip(Lsn from, Lsn to, const std::string& reason) {
    const TimelineId timeline = setup_.way.timeline_at(from);
    to = std::min(to, setup_.way.end_of(timeline));
    const bool goes_on = gap_.timeline == timeline && gap_.to == from && from != 0;
    gap_ = {timeline, goes_on ? gap_.from : from, to};
    if (!goes_on)
        ++status_.gaps;
    status_.last_gap = to_text(gap_) + ": " + reason;
    scan_.reset();
    summary_.give_up();
    at_ = status_.position = to;
    if (!goes_on) {
        warn_(Error(ErrorCode::corrupt, "changes in WAL from " + to_text(gap_) + " are not tracked",
                    "Why: " + reason + ".",
                    "The next incremental backup whose parent began before that is a full one."));
    }
}

void ChangeTracker::finish_table() {
    finished_ = scan_->take();
    at_ = table_end_;
    available_.push_back(finished_->range);
    // The same scan goes on, where the next table begins here.
    const auto next = cover(setup_.way, at_, kMaxLsn, available_).gaps.front();
    if (next.timeline != timeline_ || next.from != at_) {
        scan_.reset();
        return;
    }
    table_end_ = end_of_table(at_, change_span(setup_.segment_size),
                              std::min(next.to, setup_.way.end_of(timeline_)));
}

void ChangeTracker::store_finished() {
    if (only_writes(setup_.repository.store(), setup_.cluster)) {
        local_.store(*finished_);
        prune();
    }
    try {
        Writer writer = setup_.writer;
        writer.time = now_micros();
        store_changes(setup_.repository.store(), setup_.cluster, *finished_, writer);
    } catch (const Error& error) {
        if (error.code != ErrorCode::conflict)
            throw;
        local_.store(*finished_);
        warn_(error);
    }
    ++status_.tables;
    status_.stored = finished_->range.to;
    summary_.add(finished_->table);
    finished_.reset();
    std::erase_if(available_, [this](const ChangeRange& range) {
        return range.to <= summary_.since().value_or(went_back_for_ ? 0 : at_);
    });
}

std::optional<RangeChanges> ChangeTracker::load(const ChangeRange& range) {
    try {
        return load_known_changes(setup_.repository.store(), setup_.cluster, &local_, range);
    } catch (const Error& error) {
        if (!is_of_content(error))
            throw;
        return std::nullopt;
    }
}

// What a listing shows, but not tables of WAL that this server does not have yet: it was set back,
// and makes its own.
void ChangeTracker::list_tables(Lsn from) {
    available_ =
        available_changes(setup_.repository.store(), setup_.cluster, &local_, setup_.way, from);
    std::erase_if(available_, [this](const ChangeRange& range) { return range.to > flushed_; });
}

// Where there is a new backup: what is stored since its start becomes the summary. Where a part of
// that was never read (it began before tracking did) reading goes back to it first.
void ChangeTracker::summarize() {
    const std::vector<Lsn> starts = backups_.starts(flushed_);
    const std::optional<Lsn> newest = starts.empty() ? std::nullopt : std::optional(starts.front());
    // One that begins in a segment that was not read yet counts once everything before was.
    const bool is_ahead =
        newest && *newest / setup_.segment_size * setup_.segment_size > status_.position;
    if (newest == summarized_ || is_ahead)
        return;
    if (!newest) {
        summary_.give_up();
        summarized_ = newest;
        return;
    }
    const bool is_new = went_back_for_ != newest;
    if (is_new)
        list_tables(*newest);
    Lsn end = at_;
    for (const ChangeRange& range : available_)
        end = std::max(end, range.to);
    const ChangeCover found = cover(setup_.way, std::min(*newest, end), end, available_);
    const bool is_lost = gap_.to > *newest;
    if (!found.gaps.empty() && !is_lost) {
        summary_.give_up();
        if (is_new) {
            at_ = *newest;
            scan_.reset();
        }
        went_back_for_ = newest;
        return;
    }
    summary_.begin(*newest);
    bool is_whole = !is_lost;
    for (const ChangeRange& range : found.tables) {
        const auto changes = is_whole ? load(range) : std::nullopt;
        is_whole = changes.has_value();
        if (is_whole)
            summary_.add(changes->table);
    }
    if (!is_whole)
        summary_.give_up();
    summarized_ = newest;
}

void ChangeTracker::prune() {
    const std::vector<Lsn> starts = backups_.starts(flushed_);
    if (starts.empty())
        return;
    const PrunedChanges pruned = local_.prune(starts.back(), setup_.most_local_bytes);
    if (pruned.wanted_files == 0 ||
        pruned.wanted_up_to <= starts[std::min<size_t>(1, starts.size() - 1)])
        return;
    warn_(Error(ErrorCode::disk_full,
                "change tables were removed from \"" + std::string(kLocalChangesDirectory) + "\"",
                "They took more than " + human_bytes(setup_.most_local_bytes) + ".",
                "Take a full backup: incremental ones of the last backup are not possible."));
}

}  // namespace ark
