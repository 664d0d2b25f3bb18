#include "core/verify/timelines.hpp"

#include <charconv>
#include <set>

#include "core/archive/fetch.hpp"
#include "core/base/error.hpp"

namespace ark {

namespace {

class Histories {
 public:
    Histories(VerifyContext& context, Patience& patience)
        : context_(context), patience_(patience), own_(context.backup.timeline) {}

    TimelineHistory newest_way() {
        const std::set<TimelineId> later = timelines_with_wal();
        TimelineHistory way = own();
        // A timeline that nothing was archived of yet counts as well: the server finds it so.
        for (TimelineId next = own_ + 1;; ++next) {
            if (const auto history = read(next, later.contains(next))) {
                take(*history, way);
                continue;
            }
            const auto following = later.upper_bound(next);
            if (following == later.end())
                return way;
            next = *following - 1;
        }
    }

 private:
    void take(const TimelineHistory& history, TimelineHistory& way) const {
        const BackupMarker& b = context_.backup;
        if (history.contains_range(b.timeline, b.start_lsn, b.stop_lsn))
            way = history;
    }

    TimelineHistory own() {
        if (own_ > 1) {
            if (const auto history = read(own_, true))
                return *history;
        }
        return TimelineHistory(own_);
    }

    std::set<TimelineId> timelines_with_wal() {
        std::set<TimelineId> found;
        add_timelines_in("wal", found);
        add_timelines_in("tail", found);
        return found;
    }

    void add_timelines_in(const std::string& directory, std::set<TimelineId>& found) {
        for (const std::string& part :
             context_.repository.store().list_parts(context_.name_of(directory))) {
            TimelineId timeline = 0;
            const auto end = part.data() + part.size();
            const auto parsed = std::from_chars(part.data(), end, timeline, 16);
            if (part.size() == 8 && parsed.ec == std::errc{} && parsed.ptr == end &&
                timeline > own_ && has_objects(directory + "/" + part)) {
                found.insert(timeline);
            }
        }
    }

    bool has_objects(const std::string& directory) {
        bool any = false;
        context_.repository.store().list(context_.name_of(directory),
                                         [&](const ObjectInfo& /*object*/) {
                                             any = true;
                                             return false;
                                         });
        return any;
    }

    // nullopt where it is not there or damaged, which has been reported then.
    std::optional<TimelineHistory> read(TimelineId timeline, bool needed) {
        const FetchContext fetch{context_.repository, context_.backup.cluster};
        try {
            std::optional<Bytes> content = fetch_history(fetch, timeline);
            if (!content && needed) {
                patience_.wait_for([&] {
                    content = fetch_history(fetch, timeline);
                    return content.has_value();
                });
            }
            if (content)
                return TimelineHistory::parse(timeline, as_text(*content));
            if (needed)
                report_missing(timeline);
        } catch (const Error& error) {
            if (!is_damage(error))
                throw;
            report(timeline, finding_of("", error));
        }
        return std::nullopt;
    }

    void report_missing(TimelineId timeline) {
        Finding finding;
        finding.message = "history file \"" + history_name(timeline) + "\" is missing";
        finding.detail = timeline == own_ ? "The backup is on this timeline."
                                          : "There is WAL of this timeline: recovery would end on "
                                            "an older one, without what came later.";
        finding.hint = "The server that wrote it may still have it in pg_wal.";
        report(timeline, std::move(finding));
    }

    void report(TimelineId timeline, Finding finding) {
        finding.check = timeline == own_ ? "wal" : kWalAfterBackup;
        finding.object = context_.name_of(place::history(timeline));
        context_.damage.add(std::move(finding));
    }

    VerifyContext& context_;
    Patience& patience_;
    const TimelineId own_;
};

}  // namespace

TimelineHistory find_way(VerifyContext& context, Patience& patience) {
    return Histories(context, patience).newest_way();
}

}  // namespace ark
