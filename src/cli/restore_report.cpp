#include "cli/restore_report.hpp"

#include <unistd.h>

#include <cstdio>

#include "cli/traffic.hpp"
#include "core/base/clock.hpp"
#include "core/pgdata/config_text.hpp"
#include "core/pgdata/server_version.hpp"
#include "core/repo/json_text.hpp"

namespace ark {

namespace {

using nlohmann::json;

constexpr int64_t kSecond = 1000000000;

json texts(const std::vector<std::string>& all) {
    json out = json::array();
    for (const std::string& text : all)
        out.push_back(json_of_text(text));
    return out;
}

void print(const json& event) {
    std::printf("%s\n", event.dump().c_str());
    std::fflush(stdout);
}

void print_warnings(const std::vector<std::string>& warnings) {
    for (const std::string& text : warnings) {
        std::fprintf(stderr, "pg_ark: warning: %s\n", text.c_str());
    }
}

const char* what_happens(const RestoreRequest& request) {
    if (request.wish.target.kind == TargetKind::latest) {
        return "then it opens for writing on a new timeline";
    }
    switch (request.action) {
        case TargetAction::pause:
            return "then it pauses, open for reading; SELECT pg_wal_replay_resume() opens it for "
                   "writing";
        case TargetAction::promote:
            return "then it opens for writing on a new timeline";
        case TargetAction::shutdown:
            return "then it shuts down";
    }
    return "";
}

std::string pg_ctl_of(const BackupMarker& backup) {
    const std::string debian =
        "/usr/lib/postgresql/" + std::to_string(major_of(backup.pg_version_num)) + "/bin/pg_ctl";
    return ::access(debian.c_str(), X_OK) == 0 ? debian : "pg_ctl";
}

void line(const char* label, const std::string& text) {
    std::printf("  %-12s %s\n", label, text.c_str());
}

}  // namespace

RestoreReport::RestoreReport(OutputFormat output, const RestoreRequest& request,
                             const RestorePlan& plan)
    : output_(output), request_(request), plan_(plan) {}

void RestoreReport::plan(bool dry_run) {
    print_warnings(plan_.warnings);
    if (output_ == OutputFormat::json) {
        print_plan_json(dry_run);
    } else {
        print_plan_text(dry_run);
    }
}

void RestoreReport::print_plan_text(bool dry_run) const {
    const Resolved& source = plan_.source;
    const BackupMarker& b = source.backup;
    const Destination& to = plan_.destination;
    std::printf("%s backup %s into %s\n", dry_run ? "would restore" : "restoring",
                b.backup_id.c_str(), to.directory.c_str());
    if (plan_.as_of)
        line("bucket", "as it was at " + to_postgres_time(*plan_.as_of));
    line("backup", b.type + ", ended " + to_postgres_time(b.stopped_at) + ", PostgreSQL " +
                       b.pg_version + (b.reason.empty() ? "" : ", \"" + b.reason + "\""));
    if (source.chain.is_incremental())
        line("builds on",
             b.parent + (source.chain.backups.size() == 2
                             ? ""
                             : " and, down to " + source.chain.backups.back().backup_id + ", " +
                                   std::to_string(source.chain.backups.size() - 2) + " more"));
    line("files", std::to_string(plan_.survey.files) + " with " + human_bytes(plan_.survey.bytes) +
                      ", " + human_bytes(plan_.fetch_bytes) + " to fetch");
    line("target",
         request_.standby
             ? "none: a standby, by now on timeline " + std::to_string(source.way.timeline())
             : describe(source.target) + " on timeline " + std::to_string(source.way.timeline()));
    if (source.restore_point) {
        line("", "the restore point was made at " + to_postgres_time(source.restore_point->time));
    }
    if (source.stops_at_transaction) {
        line("",
             std::string(source.target.kind == TargetKind::xid ? "it" : "the last transaction") +
                 " ended at " + to_postgres_time(source.stops_at_transaction->time));
    }
    line("WAL", source.first_segment + " to " + source.last_segment + " (" +
                    std::to_string(source.wal_segments) +
                    (source.wal_segments == 1 ? " segment)" : " segments)"));
    for (const TablespaceTarget& t : to.tablespaces) {
        line("tablespace", std::to_string(t.oid) + ": " + t.location +
                               (t.location == t.original ? "" : " (was " + t.original + ")"));
    }
    if (to.occupied) {
        line(request_.destination.delta ? "changes" : "removes",
             std::string(to.unfinished ? "the unfinished restore" : "the cluster") + " in " +
                 to.directory +
                 (to.other_system_identifier ? ", which is another one (system identifier " +
                                                   std::to_string(*to.other_system_identifier) + ")"
                                             : ""));
    }
    for (const std::string& old : to.old_tablespace_directories)
        line(request_.destination.delta ? "changes" : "removes", old);
    for (const std::string& left : to.abandoned_tablespaces) {
        line("leaves", left + ", a tablespace of the cluster that is removed");
    }
    if (!plan_.kept_wal.empty()) {
        line("keeps", std::to_string(plan_.kept_wal.size()) + " WAL files, " +
                          plan_.kept_wal.front() + " to " + plan_.kept_wal.back() +
                          ", which the repository does not have");
    }
    std::fflush(stdout);
}

void RestoreReport::print_plan_json(bool dry_run) const {
    const Resolved& source = plan_.source;
    const Destination& to = plan_.destination;
    json tablespaces = json::array();
    for (const TablespaceTarget& t : to.tablespaces) {
        tablespaces.push_back({{"oid", t.oid},
                               {"original", json_of_text(t.original)},
                               {"location", json_of_text(t.location)}});
    }
    json event{{"event", "plan"},
               {"dry_run", dry_run},
               {"cluster", source.cluster},
               {"backup_id", source.backup.backup_id},
               {"pg_version", source.backup.pg_version},
               {"directory", json_of_text(to.directory)},
               {"files", plan_.survey.files},
               {"bytes", plan_.survey.bytes},
               {"fetch_bytes", plan_.fetch_bytes},
               {"target", json_of_text(describe(source.target))},
               {"target_action", name_of(request_.action)},
               {"timeline", source.way.timeline()},
               {"first_segment", source.first_segment},
               {"last_segment", source.last_segment},
               {"wal_segments", source.wal_segments},
               {"tablespaces", tablespaces},
               {"removes_cluster", to.occupied},
               {"delta", request_.destination.delta},
               {"kept_wal", texts(plan_.kept_wal)},
               {"take_over", request_.take_over},
               {"standby", request_.standby},
               {"as_of_bucket_time", plan_.as_of ? json(to_iso8601(*plan_.as_of)) : json()},
               {"warnings", texts(plan_.warnings)}};
    if (source.stops_at_transaction) {
        event["last_transaction_time"] = to_iso8601(source.stops_at_transaction->time);
    }
    print(event);
}

void RestoreReport::progress(const RestoreProgress& p) {
    const int64_t now = monotonic_nanos();
    if (p.phase == RestorePhase::writing && writing_since_ == 0)
        writing_since_ = now;
    if (!bar_.due(p.phase != last_phase_, output_ == OutputFormat::text))
        return;
    if (output_ == OutputFormat::text) {
        print_progress_text(p);
    } else {
        json event = progress_event(name_of(p.phase), p.bytes, p.bytes_total,
                                    writing_since_ == 0 ? 0 : now - writing_since_);
        event["files"] = p.files;
        event["files_total"] = p.files_total;
        event["fetched"] = p.fetched;
        print(event);
    }
    last_phase_ = p.phase;
}

void RestoreReport::print_progress_text(const RestoreProgress& p) {
    if (p.phase == RestorePhase::done) {
        bar_.clear();
        return;
    }
    const int64_t nanos = writing_since_ == 0 ? 0 : monotonic_nanos() - writing_since_;
    std::string text = name_of(p.phase);
    if (p.phase == RestorePhase::writing && p.bytes > 0)
        text += " " + describe_progress(p.bytes, p.bytes_total, nanos);
    bar_.show(share_of(p.bytes, p.bytes_total), text);
}

void RestoreReport::result(const RestoreResult& result, const StoreTraffic& traffic) {
    print_warnings(result.warnings);
    if (output_ == OutputFormat::json) {
        print_result_json(result, traffic);
    } else {
        print_result_text(result, traffic);
    }
}

void RestoreReport::print_result_json(const RestoreResult& result,
                                      const StoreTraffic& traffic) const {
    print({{"event", "done"},
           {"backup_id", plan_.source.backup.backup_id},
           {"directory", json_of_text(plan_.destination.directory)},
           {"timeline", plan_.source.way.timeline()},
           {"target", json_of_text(describe(plan_.source.target))},
           {"files", result.files},
           {"bytes", result.bytes},
           {"fetched", result.fetched},
           {"reused_files", result.reused_files},
           {"reused_bytes", result.reused_bytes},
           {"seconds", static_cast<double>(result.nanos) / kSecond},
           {"requests", json_of(traffic)},
           {"clone", !request_.take_over},
           {"standby", request_.standby},
           {"kept_wal_directory", json_of_text(result.kept_wal_directory)},
           {"notices", texts(result.notices)},
           {"warnings", texts(result.warnings)}});
}

void RestoreReport::print_standby() const {
    std::printf(
        "It is a standby, open for reading: it replays WAL from the repository as it comes%s, "
        "also across timelines, until it is promoted (SELECT pg_promote()).\n",
        request_.primary_conninfo.empty() ? "" : ", or from its primary");
    if (request_.take_over) {
        std::printf("Promoted, it archives to the same repository on a new timeline.\n");
    } else {
        std::printf(
            "Promoted, it is a clone: it archives nothing and takes no backups until you run "
            "SELECT ark.adopt() in it.\n");
    }
}

void RestoreReport::print_result_text(const RestoreResult& result,
                                      const StoreTraffic& traffic) const {
    const std::string& directory = plan_.destination.directory;
    std::printf("restored %llu files, %s in %.1f s (%s/s), checked and synced\n",
                static_cast<unsigned long long>(result.files), human_bytes(result.bytes).c_str(),
                static_cast<double>(result.nanos) / kSecond,
                human_bytes(per_second(result.bytes, result.nanos)).c_str());
    print_traffic(traffic, result.fetched);
    if (request_.destination.delta) {
        std::printf("%llu of the files, %s, were right already; %s were fetched\n",
                    static_cast<unsigned long long>(result.reused_files),
                    human_bytes(result.reused_bytes).c_str(), human_bytes(result.fetched).c_str());
    }
    for (const std::string& text : result.notices)
        std::printf("NOTE: %s\n", text.c_str());
    if (!result.kept_wal_directory.empty()) {
        std::printf(
            "NOTE: WAL that the repository does not have is in %s now. It may hold the last "
            "transactions of the cluster that was replaced: keep it until you are sure.\n",
            result.kept_wal_directory.c_str());
    }
    std::printf("\nStart it:\n  %s -D %s start\n", pg_ctl_of(plan_.source.backup).c_str(),
                shell_word(directory).c_str());
    if (!request_.take_over)
        std::printf("  (with -o '-p PORT' while the original runs on this host)\n");
    if (request_.standby) {
        print_standby();
        return;
    }
    std::printf("It fetches WAL from the repository up to %s, %s.\n",
                describe(plan_.source.target).c_str(), what_happens(request_));
    if (request_.take_over) {
        std::printf(
            "It takes the original's place and archives to the same repository: the original "
            "must not run any more.\n");
    } else {
        std::printf(
            "It is a clone: it archives nothing and takes no backups. If it takes the "
            "original's place, run SELECT ark.adopt() in it.\n");
    }
}

}  // namespace ark
