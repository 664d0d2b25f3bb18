// The role server-drill: one restore test, for a job worker of the server; or the removal of what
// earlier ones left.

#include <algorithm>
#include <sstream>
#include <string_view>
#include <utility>

#include "cli/child/opening.hpp"
#include "cli/child/role.hpp"
#include "cli/command.hpp"
#include "cli/own_program.hpp"
#include "cli/restore_wal.hpp"
#include "core/base/clock.hpp"
#include "core/base/json.hpp"
#include "core/drill/job.hpp"

namespace ark {

namespace {

class PipeListener final : public DrillListener {
 public:
    explicit PipeListener(TestPipe& pipe) : pipe_(pipe) {}
    void progress(const DrillProgress& p) override {
        pipe_.progress(name_of(p.phase), p.doing, p.done, p.total);
    }

 private:
    TestPipe& pipe_;
};

std::vector<std::string> names_of(const std::string& list) {
    std::vector<std::string> out;
    std::istringstream stream(list);
    for (std::string name; std::getline(stream, name, ',');) {
        const size_t first = name.find_first_not_of(' ');
        if (first != std::string::npos)
            out.push_back(name.substr(first, name.find_last_not_of(' ') - first + 1));
    }
    return out;
}

// A module that knows of no drills asks for a restore test: mode is absent then.
void take_wishes(const Message& first, DrillRequest& request) {
    request.is_drill = first.token_or("mode", "") == "drill";
    if (!request.is_drill)
        return;
    const std::string target = first.token_or("target", "consistency");
    if (target == "time") {
        request.target.kind = DrillTarget::Kind::time;
        request.target.time = static_cast<UnixMicros>(first.number("target_time"));
    } else {
        request.target = parse_drill_target(target, now_micros());
    }
    request.target.asked = first.text_or("asked", target);
    if (first.has("seed"))
        request.target.seed = first.number("seed");
    const std::string steps = first.text_or("steps", "");
    request.steps = steps.empty() ? DrillSteps::all() : DrillSteps::parse(steps);
}

UserCheck check_of(const Message& message) {
    UserCheck check;
    const std::string kind = message.token("kind");
    check.kind = kind == "critical" ? UserCheck::Kind::critical : UserCheck::Kind::integrity;
    if (kind == "ready_made")
        check.ready_made = message.token("ready_made");
    check.without_indexes = message.number_or("without_indexes", 0) != 0;
    check.name = message.text("name");
    check.category = message.token_or("category", check.category);
    check.severity = message.token_or("severity", check.severity);
    check.threshold = message.number_or("threshold", 0);
    check.database = message.text("database");
    check.sql = message.text("sql");
    if (message.has("expected"))
        check.expected = message.text("expected");
    if (message.has("predicate"))
        check.predicate = message.text("predicate");
    check.timeout_ms = std::max<uint64_t>(message.number_or("timeout_ms", check.timeout_ms), 1);
    return check;
}

// Reads up to `begin`.
DrillRequest request_of(Channel& channel, const Opening& opening) {
    const Message first = channel.expect("drill");
    DrillRequest request;
    request.cluster = opening.cluster_name();
    take_wishes(first, request);
    request.backup_id = request.is_drill ? first.token_or("id", "") : first.token("id");
    request.test_id = first.token("test");
    request.scratch_directory = first.text("scratch");
    request.program_directory = first.text_or("bindir", "");
    request.program = own_program();
    request.key = opening.key_source();
    request.jobs = static_cast<int>(first.number_or("jobs", 2));
    request.memory_mb = static_cast<int>(first.number_or("memory_mb", 64));
    request.libraries = names_of(first.text_or("libraries", ""));
    request.context = parse_json(first.text_or("context", "{}"));
    request.keep_away.push_back(opening.cluster.data_directory);
    for (;;) {
        const std::optional<Message> message = channel.receive();
        if (!message)
            throw job_ended();
        if (message->verb() == "begin")
            return request;
        if (message->verb() == "check") {
            request.checks.push_back(check_of(*message));
            continue;
        }
        if (message->verb() != "keep_away") {
            throw Error(ErrorCode::protocol_violation,
                        "unexpected message \"" + message->verb() + "\"");
        }
        request.keep_away.push_back(message->text("path"));
    }
}

// The drill speaks of its options; who calls SQL has settings.
std::string in_settings(std::string hint) {
    const std::pair<std::string_view, std::string_view> words[] = {
        {"--scratch", "pg_ark.scratch_directory"},
        {"--library", "pg_ark.restore_test_libraries"},
    };
    for (const auto& [option, setting] : words) {
        const size_t at = hint.find(option);
        if (at != std::string::npos)
            hint.replace(at, option.size(), setting);
    }
    return hint;
}

Evidence drill(const Opening& opening, const DrillRequest& request, TestPipe& pipe) {
    PipeListener listener(pipe);
    RepositoryArchivedWal wal(*opening.repository, request.cluster);
    try {
        Evidence evidence = run_drill(*opening.repository, wal, request, listener);
        for (Finding& finding : evidence.errors.kept)
            finding.hint = in_settings(std::move(finding.hint));
        return evidence;
    } catch (Error& error) {
        error.hint = in_settings(std::move(error.hint));
        throw;
    }
}

// Needs no repository: it may be away, and what was left is to go.
bool sweep(Channel& channel, const Message& message) {
    if (message.verb() != "sweep")
        return false;
    const int count = sweep_scratch_directory(message.text("scratch"));
    Message reply("swept");
    channel.send(reply.add_number("count", static_cast<uint64_t>(count)));
    return true;
}

}  // namespace

int run_server_drill() {
    become_child();
    become_scratch_host();
    Channel channel;
    const std::optional<Opening> opening =
        open_conversation(channel, 0, [&](const Message& m) { return sweep(channel, m); });
    if (!opening)
        return 0;
    return run_job(channel, "Raise pg_ark.memory_limit or lower pg_ark.restore_test_jobs.", [&] {
        TestPipe pipe(channel);
        const DrillRequest request = request_of(channel, *opening);
        pipe.result(*opening->repository, drill(*opening, request, pipe));
    });
}

}  // namespace ark
