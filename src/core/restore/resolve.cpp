#include "core/restore/resolve.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "core/repo/stored_segments.hpp"
#include "core/restore/plan.hpp"

namespace ark {

namespace {

Error unreachable(const std::string& message, const std::string& detail, const std::string& hint) {
    return {ErrorCode::target_unreachable, message, detail, hint};
}

constexpr const char* kLatestHint = "Use --target latest to recover all there is.";

class Resolver {
 public:
    Resolver(Repository& repository, ArchivedWal& wal, const std::string& cluster,
             const RestoreWish& wish)
        : repository_(repository), archive_(wal), wish_(wish) {
        out_.cluster = cluster;
        out_.target = wish.target;
    }

    Resolved run() {
        read_backups();
        choose_way();
        try {
            choose();
            check_wal();
            check_target();
            note_damaged_end();
        } catch (Error& error) {
            if (error.code == ErrorCode::corrupt && error.hint.empty()) {
                error.hint =
                    "Recovery cannot pass damaged WAL: choose a target before it with "
                    "--target-time, --target-lsn or --target immediate.";
            }
            throw;
        }
        out_.can_look_ahead = can_look_ahead();
        name_wal();
        note_newer_backup_elsewhere();
        note_corrupt_pages();
        return std::move(out_);
    }

 private:
    void read_backups() {
        std::vector<std::string> bad;
        backups_ = list_backups(repository_, out_.cluster, &bad);
        for (const std::string& what : bad) {
            out_.warnings.push_back("a backup's marker could not be read: " + what);
        }
        // Of the one that was named the error is what is wrong with it, not that it is not there.
        if (!bad.empty() && !wish_.backup_id.empty())
            static_cast<void>(find_backup(repository_, out_.cluster, wish_.backup_id));
        if (!backups_.empty())
            return;
        throw Error(
            ErrorCode::not_found,
            "cluster \"" + out_.cluster + "\" has no backup in \"" + repository_.url() + "\"",
            bad.empty() ? "" : "There are backups whose marker cannot be read.",
            "\"pg_ark list\" shows what there is.");
    }

    TimelineId newest_backup_timeline() const {
        return std::max_element(
                   backups_.begin(), backups_.end(),
                   [](const auto& a, const auto& b) { return a.timeline < b.timeline; })
            ->timeline;
    }

    TimelineHistory history_of(TimelineId timeline) {
        try {
            return archive_.history_of(timeline);
        } catch (const Error& error) {
            if (error.code != ErrorCode::not_found)
                throw;
            throw Error(ErrorCode::not_found,
                        "timeline " + std::to_string(timeline) + " is not in the repository",
                        "There is no " + history_name(timeline) + ".",
                        "Leave out --target-timeline to follow the latest one.");
        }
    }

    void choose_way() {
        const bool named = !wish_.backup_id.empty();
        const TimelineId start =
            named ? backup_of_id(backups_, wish_.backup_id).timeline : newest_backup_timeline();
        // The end of the backup lies on its own timeline, whatever came later.
        const bool own = wish_.timeline.kind == TimelineWish::Kind::current ||
                         (wish_.timeline.kind == TimelineWish::Kind::latest &&
                          wish_.target.kind == TargetKind::immediate);
        if (wish_.timeline.kind == TimelineWish::Kind::number) {
            out_.way = history_of(wish_.timeline.number);
        } else if (own) {
            out_.way = history_of(start);
        } else {
            const TimelineId newest = archive_.newest_timeline(start);
            refuse_lost_history(newest);
            out_.way = history_of(newest);
        }
    }

    // The server looks for the next history file until one is missing: with a lost one in the row
    // it would bring back an older timeline, without what came later.
    void refuse_lost_history(TimelineId newest) {
        for (const char* directory : {"wal", "tail"})
            refuse_lost_history(newest, directory);
    }

    void refuse_lost_history(TimelineId newest, const std::string& directory) {
        const std::string lost = history_name(newest + 1);
        const std::string all = out_.cluster + "/" + directory;
        for (const std::string& part : repository_.store().list_parts(all)) {
            const std::string place = directory + "/" + part;
            if (part.size() != 8 || part <= hex8(newest) || !has_objects("/" + place))
                continue;
            throw unreachable("history file \"" + lost + "\" is not in the repository",
                              "There is WAL in \"" + place +
                                  "\", but without this file recovery would end on "
                                  "timeline " +
                                  std::to_string(newest) + ".",
                              "Put the file back (a server of that timeline has it in pg_wal), or "
                              "name a timeline "
                              "with --target-timeline.");
        }
    }

    bool has_objects(const std::string& directory) const {
        bool any = false;
        repository_.store().list(out_.cluster + directory, [&](const ObjectInfo& /*object*/) {
            any = true;
            return false;
        });
        return any;
    }

    void choose() {
        usable_ = backups_on(out_.way, backups_);
        if (!wish_.backup_id.empty()) {
            check_named(backup_of_id(backups_, wish_.backup_id));
        } else if (usable_.empty()) {
            throw unreachable(
                "no backup lies on the way to timeline " + std::to_string(out_.way.timeline()),
                "The newest backup, " + backups_.back().backup_id + ", is on timeline " +
                    std::to_string(backups_.back().timeline) + ".",
                "Choose that timeline with --target-timeline.");
        } else if (out_.target.kind == TargetKind::name) {
            choose_by_restore_point(usable_.size());
            step_back_to_whole_chain();
        } else {
            out_.backup = newest_for_target();
            step_back_to_whole_chain();
        }
    }

    // A backup whose marker cannot be read may have led there: that is no fault of the wish.
    const BackupMarker& newest_for_target() const {
        try {
            return newest_reaching(usable_, out_.target);
        } catch (const UnreachableWish& error) {
            if (!out_.warnings.empty())
                throw Error(error);
            throw;
        }
    }

    BackupChain chain_of(const BackupMarker& backup) {
        return load_chain(backup, [&](const std::string& id) -> std::optional<BackupMarker> {
            const auto found = std::ranges::find(backups_, id, &BackupMarker::backup_id);
            return found != backups_.end() ? *found
                                           : find_chain_link(repository_, out_.cluster, id);
        });
    }

    // From an older backup the same target is reached, on a longer way.
    void step_back_to_whole_chain() {
        std::optional<Error> first;
        for (;;) {
            try {
                out_.chain = chain_of(out_.backup);
                return;
            } catch (const Error& error) {
                if (error.code != ErrorCode::corrupt)
                    throw;
                if (!first)
                    first = error;
                const std::string id = out_.backup.backup_id;
                const auto broken = std::ranges::find(usable_, id, &BackupMarker::backup_id);
                usable_.erase(broken, usable_.end());
                if (usable_.empty() || std::ranges::all_of(usable_, [&](const BackupMarker& b) {
                        return why_not(b, out_.target).has_value();
                    }))
                    throw Error(*first);
                out_.backup = newest_reaching(usable_, out_.target);
                out_.warnings.push_back("backup " + id + " cannot be restored, an older one is " +
                                        "used: " + error.message + ": " + error.detail);
            }
        }
    }

    void check_named(const BackupMarker& backup) {
        out_.backup = backup;
        out_.chain = chain_of(backup);
        const std::string timeline = std::to_string(out_.way.timeline());
        if (!out_.way.contains_range(backup.timeline, backup.start_lsn, backup.stop_lsn)) {
            throw unreachable(
                "backup " + backup.backup_id + " does not lie on the way to timeline " + timeline,
                "It ran on timeline " + std::to_string(backup.timeline) + " from " +
                    to_text(backup.start_lsn) + " to " + to_text(backup.stop_lsn) +
                    ", which that way does not contain.",
                "Use --target-timeline current to stay on the backup's timeline, or another "
                "backup.");
        }
        if (out_.target.kind == TargetKind::name) {
            usable_ = {backup};
            choose_by_restore_point(1);
        } else if (const auto why = why_not(backup, out_.target)) {
            throw UnreachableWish(
                "backup " + backup.backup_id + " does not lead to " + describe(out_.target),
                "The " + *why + ".", "Choose an earlier backup, or leave out --backup.");
        }
    }

    std::unique_ptr<WalOnWay> wal_for(const BackupMarker& backup, uint64_t last_segment) {
        return archive_.along(out_.way, backup.wal_segment_size, last_segment);
    }

    // From the newest backup back: each looks at the WAL between its end and the end of the next.
    void choose_by_restore_point(size_t count) {
        for (size_t i = count; i-- > 0;) {
            const BackupMarker& b = usable_[i];
            const uint64_t last =
                i + 1 < count ? segment_number_of(usable_[i + 1].stop_lsn, b.wal_segment_size)
                              : kNoLastSegment;
            out_.restore_point = wal_for(b, last)->restore_point(out_.target.name, b.stop_lsn);
            if (!out_.restore_point)
                continue;
            out_.target.lsn = out_.restore_point->lsn;
            out_.backup = b;
            return;
        }
        throw unreachable("restore point \"" + out_.target.name + "\" was not found",
                          "The archived WAL after the end of backup " + usable_.front().backup_id +
                              ", LSN " + to_text(usable_.front().stop_lsn) +
                              ", has none of this name on the "
                              "way to timeline " +
                              std::to_string(out_.way.timeline()) + ".",
                          "Check the name, or use --target-time.");
    }

    std::string name_of_segment(uint64_t number) const {
        const uint64_t size = out_.backup.wal_segment_size;
        // A segment in which the way changes timelines has the name of the later one.
        return segment_name({out_.way.timeline_at((number + 1) * size - 1), number}, size);
    }

    // How far WAL has to be looked at: a target that names a place needs none beyond it, and damage
    // there must not stand in its way.
    uint64_t last_of_interest() const {
        const BackupMarker& b = out_.backup;
        if (out_.target.kind == TargetKind::immediate)
            return last_segment_number_before(b.stop_lsn, b.wal_segment_size);
        if (out_.target.kind == TargetKind::lsn)
            return segment_number_of(out_.target.lsn, b.wal_segment_size) + 1;
        return kNoLastSegment;
    }

    // Damage is no matter to a target that is found before it; "latest" has none.
    std::optional<uint64_t> last_contiguous(uint64_t first) {
        const auto last = wal_->last_readable(first, blocked_by_);
        if (!blocked_by_)
            return last;
        const BackupMarker& b = out_.backup;
        if (out_.target.kind == TargetKind::latest || !last ||
            *last < last_segment_number_before(b.stop_lsn, b.wal_segment_size))
            throw Error(*blocked_by_);
        wal_ = wal_for(b, *last);
        return last;
    }

    // That WAL cannot be read explains more than that it has no such target.
    [[noreturn]] void refuse_target(const Error& error) const {
        throw Error(blocked_by_ ? *blocked_by_ : error);
    }

    // Where WAL is known to be missing or damaged the target may well have been in it.
    [[noreturn]] void refuse_behind_end(const std::string& message,
                                        const std::string& detail) const {
        const bool later_backup = std::ranges::any_of(
            usable_, [&](const BackupMarker& b) { return b.stop_lsn > out_.wal_end; });
        if (blocked_by_ || wal_->damage() || later_backup || segment_behind_gap())
            refuse_target(unreachable(message, detail, kLatestHint));
        throw UnreachableWish(message, detail, kLatestHint);
    }

    // The WAL from start to stop is part of the backup: without it, it never becomes consistent.
    void check_wal() {
        const BackupMarker& b = out_.backup;
        wal_ = wal_for(b, last_of_interest());
        const uint64_t first = segment_number_of(b.start_lsn, b.wal_segment_size);
        const uint64_t needed = last_segment_number_before(b.stop_lsn, b.wal_segment_size);
        const auto last = last_contiguous(first);
        if (!last || *last < needed) {
            const uint64_t missing = last ? *last + 1 : first;
            throw unreachable("WAL that backup " + b.backup_id + " needs is not in the repository",
                              "Segment " + name_of_segment(missing) +
                                  " is missing; the backup needs " + b.start_segment + " to " +
                                  b.stop_segment + ".",
                              "Restore another backup, or put the segment into the repository.");
        }
        last_segment_ = *last;
        out_.wal_end = wal_->end(b.start_lsn);
        if (out_.wal_end < b.stop_lsn) {
            throw unreachable("WAL that backup " + b.backup_id + " needs cannot be read",
                              "It ends at " + to_text(out_.wal_end) + "; the backup ended at " +
                                  to_text(b.stop_lsn) + ".",
                              "Restore another backup.");
        }
    }

    void check_target() {
        switch (out_.target.kind) {
            case TargetKind::immediate:
            case TargetKind::name:
                return;
            case TargetKind::latest:
                out_.stops_at_transaction = wal_->last_transaction(out_.backup.stop_lsn);
                refuse_gap();
                return;
            case TargetKind::time:
                return check_time();
            case TargetKind::lsn:
                return check_lsn();
            case TargetKind::xid:
                return check_xid();
        }
    }

    std::string where_wal_ends() const {
        return "The archived WAL after backup " + out_.backup.backup_id + " ends at LSN " +
               to_text(out_.wal_end) + " on timeline " + std::to_string(out_.way.timeline()) +
               gap_text();
    }

    // Recovery stops before the first end that is later than the target, so there must be one.
    void check_time() {
        const auto last = wal_->last_transaction(out_.backup.stop_lsn);
        const bool reached = last && (out_.target.exclusive ? last->time >= out_.target.time
                                                            : last->time > out_.target.time);
        if (reached)
            return;
        refuse_behind_end(
            "no archived transaction is later than the target, " + describe(out_.target),
            last ? "The last one ended at " + to_postgres_time(last->time) + ". " + where_wal_ends()
                 : "No transaction has ended since the backup's end. " + where_wal_ends());
    }

    // Recovery stops at the first record that begins at the target or later, so there must be one:
    // a target inside the last record is not reached.
    void check_lsn() {
        const uint64_t segment = segment_number_of(out_.target.lsn, out_.backup.wal_segment_size);
        if (segment <= last_segment_ &&
            wal_for(out_.backup, kNoLastSegment)->has_record_from(out_.target.lsn)) {
            return;
        }
        refuse_behind_end("the archived WAL does not reach " + describe(out_.target),
                          where_wal_ends());
    }

    void check_xid() {
        const auto xid = static_cast<uint32_t>(out_.target.xid);
        out_.stops_at_transaction = wal_->end_of_transaction(xid, out_.backup.stop_lsn);
        if (out_.stops_at_transaction)
            return;
        refuse_target(unreachable(
            "the end of " + describe(out_.target) + " is not in the archived WAL", where_wal_ends(),
            "Check the number (a subtransaction has none of its own), or use "
            "--target-time."));
    }

    // The first segment that is not there as a whole.
    uint64_t first_missing() const { return behind(*wal_, last_segment_); }
    static uint64_t behind(const WalOnWay& wal, uint64_t last) {
        return wal.ends_inside(last) ? last : last + 1;
    }

    // The first segment behind that one which is there all the same: a hole, not the end. The
    // listing may lag: this is for a warning only.
    std::optional<std::string> segment_behind_gap() const {
        return first_stored_behind(first_missing());
    }

    std::optional<std::string> first_stored_behind(uint64_t number) const {
        const uint64_t size = out_.backup.wal_segment_size;
        for (const TimelineId timeline : out_.way.timelines()) {
            const Lsn end = out_.way.end_of(timeline);
            if (end <= (number + 1) * size)
                continue;
            const auto found =
                first_stored_segment(repository_, {out_.cluster, timeline, size, number + 1});
            if (found && *found * size < end)
                return segment_name({timeline, *found}, size);
        }
        return std::nullopt;
    }

    // "All there is" has no hole; it ends where wal-get says that there is no more.
    bool can_look_ahead() {
        if (out_.target.kind == TargetKind::latest)
            return true;
        try {
            const auto all = wal_for(out_.backup, kNoLastSegment);
            const auto last = all->last_contiguous(
                segment_number_of(out_.backup.start_lsn, out_.backup.wal_segment_size));
            return last && !first_stored_behind(behind(*all, *last));
        } catch (const Error& error) {
            if (error.code != ErrorCode::corrupt)
                throw;
            return false;
        }
    }

    std::string gap_text() const {
        const auto behind = segment_behind_gap();
        if (!behind)
            return ".";
        return ": segment " + name_of_segment(first_missing()) + " is missing, although " +
               *behind + " is there.";
    }

    // "All there is" must not quietly become what there is before a hole.
    void refuse_gap() const {
        const auto behind = segment_behind_gap();
        const std::string missing = name_of_segment(first_missing());
        // A running server stores segments out of order: it may have come since.
        if (!behind || repository_.store().head(out_.cluster + "/" + place::segment(missing)))
            return;
        const auto& last = out_.stops_at_transaction;
        throw unreachable(
            "WAL segment \"" + missing + "\" is missing, although \"" + *behind +
                "\" is in the repository",
            "Recovery would end before the gap, at " + to_text(out_.wal_end) +
                ", without what came later.",
            "Put the segment back, or run the command again where a server is archiving at this "
            "moment. What lies before the gap comes back with " +
                (last ? "--target-lsn " + to_text(last->lsn) : std::string("--target immediate")) +
                ".");
    }

    void name_wal() {
        const BackupMarker& b = out_.backup;
        const uint64_t size = b.wal_segment_size;
        const uint64_t first = segment_number_of(b.start_lsn, size);
        uint64_t last = last_segment_;
        if (out_.target.kind == TargetKind::immediate) {
            last = last_segment_number_before(b.stop_lsn, size);
        } else if (out_.target.kind == TargetKind::lsn || out_.target.kind == TargetKind::name) {
            last = segment_number_of(out_.target.lsn, size);
        } else if (out_.target.kind == TargetKind::xid) {
            last = last_segment_number_before(out_.stops_at_transaction->end, size);
        }
        out_.first_segment = name_of_segment(first);
        out_.last_segment = name_of_segment(last);
        out_.wal_segments = last - first + 1;
    }

    // The newest timeline may leave the others before their newest backups: the end of a test
    // restore that was allowed to archive is not what somebody wants who lost the real cluster.
    void note_newer_backup_elsewhere() {
        if (!wish_.backup_id.empty() || wish_.timeline.kind != TimelineWish::Kind::latest)
            return;
        const auto newer = std::find_if(backups_.rbegin(), backups_.rend(), [&](const auto& b) {
            return b.stopped_at > out_.backup.stopped_at && !why_not(b, out_.target) &&
                   !out_.way.contains_range(b.timeline, b.start_lsn, b.stop_lsn);
        });
        if (newer == backups_.rend())
            return;
        const std::string timeline = std::to_string(newer->timeline);
        out_.warnings.push_back("backup " + newer->backup_id + ", which ended later (" +
                                to_postgres_time(newer->stopped_at) + ") on timeline " + timeline +
                                ", does not lie on the way to timeline " +
                                std::to_string(out_.way.timeline()) +
                                ", the newest one; --target-timeline " + timeline +
                                " would restore what it belongs to");
    }

    void note_damaged_end() {
        if (blocked_by_) {
            out_.warnings.push_back(blocked_by_->message + ": recovery cannot pass it; the WAL " +
                                    "before it ends at LSN " + to_text(out_.wal_end));
        }
        const auto damage = wal_->damage();
        if (!damage)
            return;
        out_.warnings.push_back(damage->message + ", so the archived WAL ends before it, at LSN " +
                                to_text(out_.wal_end) + ": " + damage->detail);
    }

    void note_corrupt_pages() {
        const uint64_t count = out_.backup.corrupt_page_count;
        if (count == 0)
            return;
        std::string text = "backup " + out_.backup.backup_id + " holds " + std::to_string(count) +
                           " corrupt pages, which the restored cluster will have too:";
        constexpr size_t kMaxNamed = 5;
        const auto& pages = out_.backup.corrupt_pages;
        for (size_t i = 0; i < std::min(pages.size(), kMaxNamed); ++i) {
            text +=
                (i > 0 ? ", " : " ") + pages[i].path + " block " + std::to_string(pages[i].block);
        }
        if (count > kMaxNamed)
            text += ", …";
        out_.warnings.push_back(text);
    }

    Repository& repository_;
    ArchivedWal& archive_;
    const RestoreWish& wish_;
    Resolved out_;
    std::vector<BackupMarker> backups_;
    std::vector<BackupMarker> usable_;
    std::unique_ptr<WalOnWay> wal_;  ///< as far as it matters for the target
    uint64_t last_segment_ = 0;
    std::optional<Error> blocked_by_;  ///< damage behind last_segment_
};

}  // namespace

Resolved resolve_wish(Repository& repository, ArchivedWal& wal, const std::string& cluster,
                      const RestoreWish& wish) {
    return Resolver(repository, wal, cluster, wish).run();
}

}  // namespace ark
