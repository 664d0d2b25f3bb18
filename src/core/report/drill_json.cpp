#include "core/repo/json_text.hpp"
#include "core/report/drill_facts.hpp"

namespace ark {

namespace {

using nlohmann::json;

json number_or_null(const std::optional<double>& number) {
    return number ? json(*number) : json();
}

const char* name_of(Outcome outcome) {
    switch (outcome) {
        case Outcome::met:
            return "met";
        case Outcome::missed:
            return "missed";
        case Outcome::unknown:
            return "unknown";
        case Outcome::none:
            break;
    }
    return "none";
}

json texts(const std::vector<std::string>& list) {
    json out = json::array();
    for (const std::string& text : list)
        out.push_back(json_of_text(text));
    return out;
}

json json_of(const ReportObjective& o, const DrillFacts& facts) {
    return {{"tier", json_of_text(o.tier)},
            {"rpo_seconds", number_or_null(o.rpo)},
            {"rpo_measured_seconds", number_or_null(o.rpo_measured)},
            {"rpo", name_of(outcome_of(o.rpo, o.rpo_measured))},
            {"rto_seconds", number_or_null(o.rto)},
            {"rto_measured_seconds", number_or_null(facts.rto)},
            {"rto", name_of(rto_outcome(o, facts))}};
}

json json_of(const ReportCheck& c) {
    json samples = json::array();
    for (const auto& row : c.samples)
        samples.push_back(texts(row));
    return {{"name", json_of_text(c.name)},
            {"kind", json_of_text(c.kind)},
            {"category", json_of_text(c.category)},
            {"severity", json_of_text(c.severity)},
            {"database", json_of_text(c.database)},
            {"status", json_of_text(c.status)},
            {"violations", number_or_null(c.violations)},
            {"violations_is_lower_bound", c.is_lower_bound},
            {"seconds", number_or_null(c.seconds)},
            {"error", json_of_text(c.error)},
            {"columns", texts(c.columns)},
            {"samples", std::move(samples)}};
}

json json_of(const RestorePoint& p) {
    return {{"test_id", json_of_text(p.test_id)},
            {"at", to_iso8601(p.at)},
            {"success", p.success},
            {"partial", p.partial},
            {"bytes", number_or_null(p.bytes)},
            {"fetch_seconds", number_or_null(p.fetch)},
            {"recover_seconds", number_or_null(p.recover)},
            {"wal_bytes", number_or_null(p.wal_bytes)},
            {"rto_seconds", number_or_null(p.rto)}};
}

template <typename Items, typename Function>
json list_of(const Items& items, const Function& make) {
    json out = json::array();
    for (const auto& item : items)
        out.push_back(make(item));
    return out;
}

}  // namespace

json to_json(const DrillFacts& f) {
    return {
        {"pg_ark_drill_report", 1},
        {"test_id", json_of_text(f.test_id)},
        {"backup_id", json_of_text(f.backup_id)},
        {"cluster", json_of_text(f.cluster)},
        {"host", json_of_text(f.host)},
        {"program_version", json_of_text(f.program_version)},
        {"pg_version", f.backup ? json(f.backup->pg_version) : json()},
        {"repository", json_of_text(f.repository)},
        {"started_at", to_iso8601(f.started_at)},
        {"completed_at", to_iso8601(f.completed_at)},
        {"success", f.success},
        {"error_count", f.finding_count},
        {"chosen_checks", texts(f.chosen)},
        {"checks_left_out", texts(f.left_out)},
        {"not_cleared", f.not_cleared ? json(to_iso8601(*f.not_cleared)) : json()},
        {"target", json_of_text(f.target)},
        {"reached_lsn", json_of_text(f.reached_lsn)},
        {"reached_time", json_of_text(f.reached_at)},
        {"rto_seconds", number_or_null(f.rto)},
        {"total_seconds", f.total},
        {"predicted_seconds", number_or_null(f.predicted)},
        {"trend_seconds_in_30_days", number_or_null(f.trend)},
        {"steps", list_of(f.steps,
                          [](const ReportStep& s) {
                              return json{{"name", json_of_text(s.name)}, {"seconds", s.seconds}};
                          })},
        {"objectives", list_of(f.objectives, [&](const auto& o) { return json_of(o, f); })},
        {"with_samples", f.with_samples},
        {"checks", list_of(f.checks, [](const ReportCheck& c) { return json_of(c); })},
        {"errors", list_of(f.findings,
                           [](const ReportFinding& e) {
                               return json{{"check", json_of_text(e.check)},
                                           {"place", json_of_text(e.place)},
                                           {"message", json_of_text(e.message)},
                                           {"detail", json_of_text(e.detail)},
                                           {"hint", json_of_text(e.hint)}};
                           })},
        {"notes", texts(f.notes)},
        {"history", list_of(f.history, [](const RestorePoint& p) { return json_of(p); })},
        {"sizes", list_of(f.sizes,
                          [](const SizePoint& p) {
                              return json{{"at", to_iso8601(p.at)}, {"bytes", p.bytes}};
                          })},
        {"next", texts(f.next)},
        {"made_at", to_iso8601(f.made_at)}};
}

}  // namespace ark
