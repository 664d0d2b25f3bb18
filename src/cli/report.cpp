#include <cstdio>
#include <memory>

#include "cli/command.hpp"
#include "core/base/file.hpp"
#include "core/report/drill_evidence.hpp"
#include "core/report/drill_page.hpp"

namespace ark {

namespace {

enum class ReportFormat { html, json };

struct ReportOptions {
    RepositoryOptions repository;
    std::string what;
    std::string test_id;
    std::string file;
    ReportFormat format = ReportFormat::html;
    std::vector<std::string> objectives;
    bool samples = false;
};

// Samples are rows of somebody's data: whom it is for is for its owner to say.
constexpr mode_t kFileMode = 0600;

int report(const ReportOptions& options) {
    std::vector<ReportObjective> objectives;
    for (const std::string& text : options.objectives)
        objectives.push_back(parse_objective(text));
    const auto repository = open_repository(options.repository);
    const std::string cluster = repository->resolve_cluster(options.repository.cluster);
    ClusterKeys(options.repository.key.source())
        .use(*repository, cluster, options.repository.key.require_encryption);
    std::vector<std::string> unread;
    DrillSources sources = read_drill(*repository, cluster, options.test_id, unread);
    sources.objectives = std::move(objectives);
    sources.with_samples = options.samples;
    const DrillFacts facts = facts_of(sources);
    const std::string text =
        options.format == ReportFormat::html ? to_html(facts) : to_json(facts).dump(2) + "\n";
    for (const std::string& what : unread)
        std::fprintf(stderr, "pg_ark: warning: left out of the history: %s\n", what.c_str());
    if (options.file.empty() || options.file == "-") {
        if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() ||
            std::fflush(stdout) != 0)
            throw Error(ErrorCode::io_error, "could not write the report to standard output");
    } else {
        write_file_durably(options.file, as_bytes(text), kFileMode);
    }
    return 0;
}

void add_options(CLI::App& command, ReportOptions& options) {
    const std::map<std::string, ReportFormat> formats{{"html", ReportFormat::html},
                                                      {"json", ReportFormat::json}};
    command.add_option("what", options.what, "what the report is of: drill")
        ->required()
        ->check(CLI::IsMember({"drill"}).description(""))
        ->option_text("drill");
    command
        .add_option("id", options.test_id,
                    "id of the test (its first characters will do), or latest")
        ->required()
        ->option_text("ID");
    add_repo_option(command, options.repository);
    command
        .add_option("--cluster", options.repository.cluster,
                    "the cluster's directory in the repository; needed where there are several")
        ->option_text("ID");
    command.add_option("--output", options.file, "write to this file (default: standard output)")
        ->option_text("FILE");
    command.add_option("--format", options.format, "html (default) or json")
        ->transform(CLI::CheckedTransformer(formats, CLI::ignore_case).description(""))
        ->option_text("FORMAT");
    command
        .add_option("--objective", options.objectives,
                    "hold the drill against this one, as critical=15min/1h: what may be lost, and "
                    "how long it may take; instead of those that the server recorded; repeat for "
                    "each")
        ->allow_extra_args(false)
        ->option_text("TIER=RPO/RTO");
    command.add_flag("--samples", options.samples,
                     "with the rows that failed checks found, and what was said about them: they "
                     "show data");
    add_key_options(command, options.repository.key);
    add_retry_option(command, options.repository);
    add_as_of_option(command, options.repository);
}

}  // namespace

void add_report_command(const CommandContext& context) {
    CLI::App* command =
        context.app.add_subcommand("report", "Write a report of a restore test, for people");
    const auto options = std::make_shared<ReportOptions>();
    add_options(*command, *options);
    command->footer(
        "The report is one HTML file that fetches nothing: what was tested and how, the verdict, "
        "the steps\n"
        "with their times, objectives met or missed, size and restore time over the months, checks "
        "with\n"
        "their results, findings, what could not be checked, and what to do next. It is made from "
        "the\n"
        "repository alone. With --samples it has rows of your data: give it to those who may see "
        "them.\n"
        "Examples:\n"
        "  pg_ark report drill latest --repo file:///srv/ark --output drill.html\n"
        "  pg_ark report drill 0b0e7f9a --repo file:///srv/ark --objective critical=15min/1h "
        "--output drill.html\n"
        "  pg_ark report drill latest --repo file:///srv/ark --format json | jq .rto_seconds");
    command->callback([context, options] { context.status = report(*options); });
}

}  // namespace ark
