#include "core/report/drill_facts.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string_view>

#include "core/base/bytes.hpp"
#include "core/report/text.hpp"

namespace ark {

namespace {

using nlohmann::json;

struct KnownStep {
    const char* name;
    const char* label;
    const char* what;
};

// In the order in which they are done.
constexpr std::array kSteps{
    KnownStep{"prepare", "Prepare", "Find the backup, a place for it and the server's programs"},
    KnownStep{"fetch", "Restore", "Fetch the files; size and checksum of each"},
    KnownStep{"verify_objects", "Stored objects", "Read every stored pack whole; SHA-256"},
    KnownStep{"verify_files", "Manifest",
              "pg_verifybackup on the restored files, what is left when the objects are read"},
    KnownStep{"recover", "Recover", "Start a server, replay WAL, reach the target, open"},
    KnownStep{"pages", "Pages", "Checksum of every page, commit log, visibility map"},
    KnownStep{"check", "Server", "Start the copy again, guarded; list what is to be asked"},
    KnownStep{"catalog", "Catalogs", "References between catalogs"},
    KnownStep{"tables", "Tables", "amcheck on every table and its TOAST"},
    KnownStep{"indexes", "Indexes", "amcheck on every index, and each row looked for in it"},
    KnownStep{"rows", "Rows", "Every row counted, by the table and by an index"},
    KnownStep{"foreign_keys", "Foreign keys", "Rows without the row that they refer to"},
    KnownStep{"unique_keys", "Unique keys", "Duplicates behind unique indexes"},
    KnownStep{"sequences", "Sequences", "Ahead of the columns that they feed"},
    KnownStep{"constraints", "Constraints", "NOT NULL and CHECK held again"},
    KnownStep{"census", "What it was", "Catalogs, counts and values as recorded at the backup"},
    KnownStep{"checks", "Integrity checks", "Your own rules, in SQL"},
    KnownStep{"critical_functions", "Critical functions", "Your own calls and their results"},
    KnownStep{"clean", "Clean up", "End the server, remove the copy"}};

std::string plain_label(std::string name) {
    std::ranges::replace(name, '_', ' ');
    if (!name.empty() && name[0] >= 'a' && name[0] <= 'z')
        name[0] = static_cast<char>(name[0] - 'a' + 'A');
    return name;
}

void read_steps(const json& seconds, DrillFacts& facts) {
    std::set<std::string> seen{"total"};
    for (const KnownStep& step : kSteps) {
        if (const auto taken = number_at(seconds, step.name))
            facts.steps.push_back({step.name, step.label, step.what, *taken});
        seen.insert(step.name);
    }
    double sum = 0;
    if (seconds.is_object()) {
        for (const auto& [name, value] : seconds.items()) {
            const auto taken = number_at(seconds, name.c_str());
            if (taken && !seen.contains(name))
                facts.steps.push_back({name, plain_label(name), "", *taken});
        }
    }
    for (const ReportStep& step : facts.steps)
        sum += step.seconds;
    facts.total = std::max(number_at(seconds, "total").value_or(0), sum);
}

// The findings of users' checks: their details and hints show data.
bool is_of_users_check(const std::string& check) {
    return check == "integrity" || check == "critical_function";
}

ReportFinding finding_of(const json& f, bool with_samples) {
    const auto labelled = [&](const char* label, const char* key) {
        const std::string text = text_of(at(f, key));
        return text.empty() ? text : label + text;
    };
    const std::string check = text_of(at(f, "check"));
    const bool whole = with_samples || !is_of_users_check(check);
    return {check, text_of(at(f, "message")), whole ? text_of(at(f, "detail")) : "",
            whole ? text_of(at(f, "hint")) : "",
            joined({labelled("database ", "database"), labelled("", "relation"),
                    labelled("block ", "block"), labelled("file ", "path"),
                    labelled("object ", "object")})};
}

// As an exact count where it is one.
void add_amount(DrillFacts& facts, const json& section, const char* key, const char* label) {
    if (const auto count = number_at(section, key))
        facts.amounts.emplace_back(label, count_text(*count));
}

void add_bytes(DrillFacts& facts, const json& section, const char* label) {
    if (const auto bytes = number_at(section, "bytes"))
        facts.amounts.emplace_back(label, human_bytes(static_cast<uint64_t>(*bytes)));
}

void read_amounts(const json& verified, DrillFacts& facts) {
    add_amount(facts, at(verified, "files"), "count", "files restored");
    add_bytes(facts, at(verified, "files"), "restored");
    add_amount(facts, at(verified, "objects"), "packs", "packs read back");
    add_amount(facts, at(verified, "pages"), "checked", "pages checked");
    if (const json& databases = at(verified, "databases"); databases.is_array())
        facts.amounts.emplace_back("databases", std::to_string(databases.size()));
    add_amount(facts, at(verified, "heap"), "relations", "tables by amcheck");
    add_amount(facts, at(verified, "btree"), "indexes", "B-tree indexes");
    add_amount(facts, at(verified, "rows"), "rows", "rows read");
    add_amount(facts, at(verified, "rows"), "compared", "tables held against the source");
    add_amount(facts, at(verified, "census"), "compared", "answers as at the backup");
    for (const char* rule : {"foreign_keys", "constraints", "unique_keys", "sequences"}) {
        std::string label = rule;
        std::ranges::replace(label, '_', ' ');
        add_amount(facts, at(verified, "rules"), rule, label.c_str());
    }
}

void read_samples(const json& samples, ReportCheck& check) {
    constexpr size_t kMostSamples = 10;
    constexpr size_t kMostColumns = 12;
    if (!samples.is_array())
        return;
    for (const json& row : samples) {
        if (check.samples.size() == kMostSamples)
            break;
        if (check.columns.empty() && row.is_object()) {
            for (const auto& [name, value] : row.items()) {
                if (check.columns.size() < kMostColumns)
                    check.columns.push_back(name);
            }
        }
        std::vector<std::string> cells;
        if (row.is_object() && !check.columns.empty()) {
            for (const std::string& column : check.columns)
                cells.push_back(text_of(at(row, column.c_str())));
        } else {
            cells.push_back(text_of(row));
        }
        check.samples.push_back(std::move(cells));
    }
}

// What needs attention comes first.
int rank_of(const ReportCheck& check) {
    const int severity = check.severity == "critical"  ? 0
                         : check.severity == "error"   ? 1
                         : check.severity == "warning" ? 2
                                                       : 3;
    if (check.status == "failed")
        return severity;
    return check.status == "error" ? 4 + severity : check.status == "skipped" ? 8 : 9;
}

// What the server, or a critical function, said may quote data; why a check was skipped is pg_ark's
// own word.
std::string error_of(const json& check, bool with_samples) {
    const json& error = at(check, "error");
    if (error.is_null())
        return {};
    const bool is_object = error.is_object() && !at(error, "message").is_null();
    if (with_samples || text_of(at(check, "status")) == "skipped")
        return is_object ? joined({text_of(at(error, "message")), text_of(at(error, "detail"))})
                         : text_of(error);
    const std::string sqlstate = text_of(at(error, "sqlstate"));
    if (text_of(at(check, "status")) == "error")
        return "It could not run" + (sqlstate.empty() ? "." : " (SQLSTATE " + sqlstate + ").");
    return "The answer is not what is expected.";
}

void read_checks(const json& checks, DrillFacts& facts) {
    if (!checks.is_array())
        return;
    for (const json& c : checks) {
        ReportCheck check;
        check.name = text_of(at(c, "name"));
        if (const std::string object = text_of(at(c, "object")); !object.empty())
            check.name += ": " + object;
        check.kind = text_of(at(c, "kind"));
        check.category = text_of(at(c, "category"));
        check.severity = text_of(at(c, "severity"));
        check.database = text_of(at(c, "database"));
        check.status = text_of(at(c, "status"));
        check.violations = number_at(c, "violations");
        check.is_lower_bound = at(c, "violations_is_lower_bound") == json(true);
        check.seconds = number_at(c, "seconds");
        check.error = error_of(c, facts.with_samples);
        if (facts.with_samples)
            read_samples(at(c, "samples"), check);
        facts.checks.push_back(std::move(check));
    }
    // Those of one rank keep the order of the tiers, in which they were done.
    std::ranges::stable_sort(facts.checks, {}, rank_of);
}

void read_chosen(const json& steps, DrillFacts& facts) {
    for (const auto& [key, to] :
         {std::pair{"chosen", &facts.chosen}, std::pair{"left_out", &facts.left_out}}) {
        if (const json& names = at(steps, key); names.is_array()) {
            for (const json& name : names)
                to->push_back(text_of(name));
        }
    }
}

bool is_partial(const json& verified) {
    const json& left_out = at(at(verified, "steps"), "left_out");
    return left_out.is_array() && !left_out.empty();
}

void read_target(const json& target, DrillFacts& facts) {
    const std::string kind = text_of(at(target, "kind"));
    const std::string asked = text_of(at(target, "asked"));
    facts.target = kind.empty() ? "consistency" : kind;
    if (!asked.empty() && asked != kind)
        facts.target += " (" + asked + ")";
    facts.reached_lsn = text_of(at(target, "reached_lsn"));
    facts.reached_at = text_of(at(target, "reached_time"));
    facts.timeline = text_of(at(target, "timeline"));
}

std::vector<ReportObjective> objectives_of(const json& list) {
    std::vector<ReportObjective> out;
    if (!list.is_array())
        return out;
    for (const json& o : list) {
        out.push_back({text_of(at(o, "tier")), number_at(o, "rpo_seconds"),
                       number_at(o, "rto_seconds"), number_at(o, "rpo_measured_seconds"),
                       text_of(at(o, "description"))});
    }
    return out;
}

// WAL between the backup's beginning and where recovery ended.
std::optional<double> wal_of(const json& verified, const BackupMarker* backup) {
    if (backup == nullptr)
        return std::nullopt;
    const json& target = at(verified, "target");
    const json& reached = at(target, "reached_lsn");
    const auto lsn = reached.is_string() ? parse_lsn(reached.get<std::string>()) : std::nullopt;
    const Lsn end = lsn.value_or(backup->stop_lsn);
    if (end < backup->start_lsn)
        return std::nullopt;
    return static_cast<double>(end - backup->start_lsn);
}

RestorePoint point_of(const json& evidence, const BackupMarker* backup) {
    const json& verified = at(evidence, "verified");
    const json& seconds = at(verified, "seconds");
    RestorePoint point;
    point.test_id = text_of(at(evidence, "test_id"));
    point.at = time_at(evidence, "started_at").value_or(0);
    point.success = at(evidence, "success") == json(true);
    point.partial = is_partial(verified);
    point.bytes = number_at(at(verified, "files"), "bytes");
    point.fetch = number_at(seconds, "fetch");
    point.recover = number_at(seconds, "recover");
    point.wal_bytes = wal_of(verified, backup);
    point.rto = number_at(verified, "rto_seconds");
    return point;
}

// What the server remembered of tests whose backups have gone since.
RestorePoint remembered_point(const json& h) {
    RestorePoint point;
    point.test_id = text_of(at(h, "test_id"));
    point.at = time_at(h, "at").value_or(0);
    point.success = at(h, "success") == json(true);
    point.partial = at(h, "partial") == json(true);
    point.bytes = number_at(h, "bytes");
    point.fetch = number_at(h, "fetch_seconds");
    point.recover = number_at(h, "recover_seconds");
    point.wal_bytes = number_at(h, "wal_bytes");
    point.rto = number_at(h, "rto_seconds");
    return point;
}

void read_history(const DrillSources& sources, DrillFacts& facts) {
    std::map<std::string, const BackupMarker*> backups;
    for (const BackupMarker& backup : sources.backups)
        backups[backup.backup_id] = &backup;
    std::map<std::string, RestorePoint> points;
    const auto add = [&](const json& evidence) {
        const auto found = backups.find(text_of(at(evidence, "backup_id")));
        RestorePoint p = point_of(evidence, found == backups.end() ? nullptr : found->second);
        if (p.at > 0 && p.at <= facts.started_at)
            points.insert_or_assign(p.test_id, std::move(p));
    };
    const json& remembered = at(at(sources.evidence, "verified"), "history");
    if (remembered.is_array()) {
        for (const json& h : remembered) {
            RestorePoint p = remembered_point(h);
            if (p.at > 0 && p.at <= facts.started_at)
                points.insert_or_assign(p.test_id, std::move(p));
        }
    }
    for (const json& other : sources.others)
        add(other);
    add(sources.evidence);
    std::map<UnixMicros, double> sizes;
    for (auto& [id, point] : points) {
        if (point.bytes)
            sizes[point.at] = *point.bytes;
        facts.history.push_back(std::move(point));
    }
    for (const BackupMarker& backup : sources.backups)
        sizes[backup.started_at] = static_cast<double>(backup.database_bytes);
    for (const auto& [when, bytes] : sizes)
        facts.sizes.push_back({when, bytes});
    std::ranges::sort(facts.history, {}, &RestorePoint::at);
}

// As ark.recovery_status has it. The history is in its order.
void find_not_cleared(DrillFacts& facts) {
    if (!facts.success || facts.left_out.empty())
        return;
    for (const RestorePoint& point : facts.history) {
        if (!point.success)
            facts.not_cleared = point.at;
        else if (!point.partial)
            facts.not_cleared.reset();
    }
}

void predict(const DrillSources& sources, DrillFacts& facts) {
    facts.trend = restore_trend(facts.history);
    const auto newest = std::ranges::max_element(sources.backups, {}, &BackupMarker::started_at);
    if (newest != sources.backups.end()) {
        facts.predicted =
            predict_restore(facts.history, static_cast<double>(newest->database_bytes),
                            static_cast<double>(newest->stop_lsn - newest->start_lsn));
    }
}

bool any_failed(const DrillFacts& facts, std::string_view status) {
    return std::ranges::any_of(facts.checks,
                               [&](const ReportCheck& c) { return c.status == status; });
}

// What rows break is most often broken at the source, whose next backup has it too.
bool is_of_data(const ReportFinding& finding) {
    constexpr std::array kOfData{"integrity",  "critical_function", "foreign_key",
                                 "constraint", "unique_key",        "sequence"};
    return std::ranges::find(kOfData, finding.check) != kOfData.end();
}

void advise(DrillFacts& facts) {
    std::vector<std::string>& next = facts.next;
    if (!facts.success && !facts.findings.empty() &&
        std::ranges::all_of(facts.findings, is_of_data)) {
        next.emplace_back(
            "The backup came up, and its rows break rules. Ask the source the same: where it is "
            "in order, keep the older backups, and take and drill a new one; where it is not, "
            "repair the rows there.");
    } else if (!facts.success) {
        next.emplace_back("Take a new backup now, keep the older ones, and drill the new one.");
        next.emplace_back(
            "Do what the findings say; where one names a relation, check the live one too.");
    }
    if (facts.not_cleared)
        next.emplace_back("Do what the drill of " + time_text(*facts.not_cleared) +
                          ", which failed, says: this one left out checks, and clears nothing.");
    if (!facts.left_out.empty())
        next.emplace_back("Drill with every check: nothing is known of what was left out.");
    if (any_failed(facts, "failed"))
        next.emplace_back("Look at the rows that the failed checks name, at the source.");
    if (any_failed(facts, "error"))
        next.emplace_back("Repair the checks that could not run: they prove nothing.");
    bool rto_missed = false;
    bool rpo_missed = false;
    bool at_risk = false;
    for (const ReportObjective& o : facts.objectives) {
        rto_missed |= outcome_of(o.rto, facts.rto) == Outcome::missed;
        rpo_missed |= outcome_of(o.rpo, o.rpo_measured) == Outcome::missed;
        at_risk |= outcome_of(o.rto, facts.predicted) == Outcome::missed;
    }
    if (rto_missed)
        next.emplace_back(
            "Restoring takes longer than an objective allows: use more lanes (--jobs), faster "
            "disks "
            "or a nearer repository, take backups more often so that less WAL is replayed, or "
            "agree "
            "on another objective.");
    else if (at_risk)
        next.emplace_back(
            "The newest backup is predicted to take longer than an objective allows: "
            "plan for it before it is needed.");
    if (rpo_missed)
        next.emplace_back(
            "More could have been lost than an objective allows: look at "
            "ark.wal_status, and stream WAL (pg_ark.wal_streaming).");
    if (facts.objectives.empty())
        next.emplace_back(
            "Agree on objectives (ark.set_recovery_objective, or --objective here): "
            "without them nobody can say whether this was fast enough.");
    if (!facts.notes.empty())
        next.emplace_back(
            "Read what could not be checked, and decide whether you can live with it.");
    if (next.empty())
        next.emplace_back("Nothing. Keep this report, and drill again on schedule.");
}

}  // namespace

Outcome outcome_of(const std::optional<double>& objective, const std::optional<double>& measured) {
    if (!objective)
        return Outcome::none;
    if (!measured)
        return Outcome::unknown;
    return *measured <= *objective ? Outcome::met : Outcome::missed;
}

Outcome rto_outcome(const ReportObjective& objective, const DrillFacts& facts) {
    return objective.rto && facts.not_cleared ? Outcome::missed
                                              : outcome_of(objective.rto, facts.rto);
}

DrillFacts facts_of(const DrillSources& sources) {
    const json& e = sources.evidence;
    const json& verified = at(e, "verified");
    DrillFacts facts;
    facts.test_id = text_of(at(e, "test_id"));
    facts.kind = text_of(at(e, "kind"));
    facts.backup_id = text_of(at(e, "backup_id"));
    facts.cluster = text_of(at(e, "cluster"));
    facts.host = text_of(at(e, "host"));
    facts.program_version = text_of(at(e, "program_version"));
    facts.repository = sources.repository;
    facts.with_samples = sources.with_samples;
    facts.made_at = sources.made_at;
    facts.started_at = time_at(e, "started_at").value_or(0);
    facts.completed_at = time_at(e, "completed_at").value_or(0);
    facts.success = at(e, "success") == json(true);
    if (const json& errors = at(e, "errors"); errors.is_array()) {
        for (const json& error : errors)
            facts.findings.push_back(finding_of(error, facts.with_samples));
    }
    facts.finding_count = std::max(number_at(e, "error_count").value_or(0),
                                   static_cast<double>(facts.findings.size()));
    if (const json& notes = at(e, "notes"); notes.is_array()) {
        for (const json& note : notes)
            facts.notes.push_back(text_of(note));
    }
    for (const BackupMarker& backup : sources.backups) {
        if (backup.backup_id == facts.backup_id)
            facts.backup = backup;
    }
    read_chosen(at(verified, "steps"), facts);
    read_target(at(verified, "target"), facts);
    read_steps(at(verified, "seconds"), facts);
    facts.rto = number_at(verified, "rto_seconds");
    read_amounts(verified, facts);
    facts.objectives =
        sources.objectives.empty() ? objectives_of(at(verified, "objectives")) : sources.objectives;
    read_checks(at(verified, "checks"), facts);
    read_history(sources, facts);
    find_not_cleared(facts);
    predict(sources, facts);
    advise(facts);
    return facts;
}

}  // namespace ark
