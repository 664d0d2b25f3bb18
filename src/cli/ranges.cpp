#include <cstdio>
#include <memory>

#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "core/base/clock.hpp"
#include "core/recoverability/survey.hpp"
#include "core/repo/json_text.hpp"

namespace ark {

namespace {

using nlohmann::json;

json time_or_null(const std::optional<UnixMicros>& time) {
    return time ? json(to_iso8601(*time)) : json();
}

json lsn_or_null(const std::optional<Lsn>& lsn) {
    return lsn ? json(to_text(*lsn)) : json();
}

json json_of(const RecoverableRange& range) {
    return {{"timeline", range.timeline},
            {"from_time", to_iso8601(range.from_time)},
            {"from_lsn", to_text(range.from_lsn)},
            {"until_time", time_or_null(range.until_time)},
            {"until_lsn", lsn_or_null(range.until_lsn)},
            {"wal_end", lsn_or_null(range.wal_end)},
            {"last_segment", range.last_segment},
            {"first_backup", range.first_backup},
            {"last_backup", range.last_backup},
            {"backups", range.backups}};
}

std::string name_of(const WalGap& gap, uint64_t number) {
    return segment_name({gap.timeline, number}, gap.segment_size);
}

json json_of(const WalGap& gap) {
    return {{"timeline", gap.timeline},
            {"first_segment", name_of(gap, gap.first)},
            {"last_segment", name_of(gap, gap.last)},
            {"start_lsn", to_text(gap.start())},
            {"end_lsn", to_text(gap.end())},
            {"segments", gap.segments()},
            {"bytes", gap.segments() * gap.segment_size},
            {"backups", gap.backups}};
}

void print(const RecoverableRange& range) {
    const std::string until =
        range.until_time ? to_iso8601(*range.until_time) : std::string("a moment not looked for");
    std::printf("  timeline %u  from %s (%s) until %s%s\n", range.timeline,
                to_iso8601(range.from_time).c_str(), to_text(range.from_lsn).c_str(), until.c_str(),
                range.until_lsn ? (" (" + to_text(*range.until_lsn) + ")").c_str() : "");
    if (range.backups == 1) {
        std::printf("    backup %s, WAL to %s\n", range.first_backup.c_str(),
                    range.last_segment.c_str());
    } else {
        std::printf("    %llu backups, %s to %s, WAL to %s\n",
                    static_cast<unsigned long long>(range.backups), range.first_backup.c_str(),
                    range.last_backup.c_str(), range.last_segment.c_str());
    }
}

void print(const WalGap& gap) {
    std::printf("  MISSING  %s to %s (%llu segments, %s to %s)\n", name_of(gap, gap.first).c_str(),
                name_of(gap, gap.last).c_str(), static_cast<unsigned long long>(gap.segments()),
                to_text(gap.start()).c_str(), to_text(gap.end()).c_str());
    std::printf("    no way past it from %s%s\n", gap.backups.front().c_str(),
                gap.backups.size() == 1 ? ""
                                        : (" to " + gap.backups.back() + " (" +
                                           std::to_string(gap.backups.size()) + " backups)")
                                              .c_str());
}

void print(const std::string& cluster, const std::vector<RecoverableRange>& ranges,
           const std::vector<WalGap>& gaps) {
    std::printf("cluster %s\n", cluster.c_str());
    if (ranges.empty())
        std::printf("  nothing can be recovered\n");
    for (const RecoverableRange& range : ranges)
        print(range);
    for (const WalGap& gap : gaps)
        print(gap);
}

// Every cluster unless one is named, as with list. What could not be looked at must not hide the
// rest, and is a failure all the same.
int ranges(const RepositoryOptions& options) {
    const auto repository = open_repository(options);
    ClusterKeys keys(options.key.source());
    std::vector<std::string> clusters = repository->clusters();
    if (!options.cluster.empty())
        clusters = {repository->resolve_cluster(options.cluster)};
    json all = json::array();
    bool is_whole = true;
    for (const std::string& cluster : clusters) {
        keys.use(*repository, cluster, options.key.require_encryption);
        RecoverabilitySurvey survey(*repository, cluster);
        const std::vector<RecoverableRange> found = survey.ranges();
        const std::vector<WalGap> gaps = survey.gaps();
        json one{{"cluster", cluster}, {"ranges", json::array()}, {"gaps", json::array()}};
        for (const RecoverableRange& range : found)
            one["ranges"].push_back(json_of(range));
        for (const WalGap& gap : gaps)
            one["gaps"].push_back(json_of(gap));
        all.push_back(std::move(one));
        if (options.output == OutputFormat::text)
            print(cluster, found, gaps);
        for (const Error& damage : survey.damaged_ends()) {
            std::fprintf(stderr, "pg_ark: warning: %s; recovery ends before it\nDETAIL:  %s\n",
                         damage.message.c_str(), damage.detail.c_str());
        }
        for (const std::string& what : survey.warnings()) {
            std::fprintf(stderr, "pg_ark: error: %s\n", what.c_str());
            is_whole = false;
        }
    }
    if (options.output == OutputFormat::json)
        std::printf("%s\n", all.dump(2).c_str());
    if (options.output == OutputFormat::text && clusters.empty())
        std::printf("no clusters in %s\n", repository->url().c_str());
    return is_whole ? 0 : exit_status_of(ErrorCode::corrupt);
}

}  // namespace

void add_ranges_command(const CommandContext& context) {
    CLI::App* command = context.app.add_subcommand(
        "ranges", "Show from which moment to which one can recover, and what WAL is missing");
    auto options = std::make_shared<RepositoryOptions>();
    add_repository_options(*command, *options);
    add_retry_option(*command, *options);
    add_as_of_option(*command, *options);
    command->footer(
        "Each range begins where its first backup is consistent and ends with the last "
        "transaction in\n"
        "the archived WAL. Missing WAL that a server has not stored yet is none before later WAL "
        "is there.\n"
        "Examples:\n"
        "  pg_ark ranges --repo file:///srv/ark\n"
        "  pg_ark ranges --repo file:///srv/ark --output json | jq '.[].gaps'\n"
        "One moment: pg_ark restore --dry-run --target-time TIME -D DIR says how, or why not.");
    command->callback([context, options] {
        context.output = options->output;
        context.status = ranges(*options);
    });
}

}  // namespace ark
