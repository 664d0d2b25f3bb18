#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/base/clock.hpp"
#include "core/repo/marker.hpp"
#include "core/report/restore_model.hpp"

namespace ark {

struct ReportObjective {
    std::string tier;
    std::optional<double> rpo;           ///< seconds; nullopt: none
    std::optional<double> rto;           ///< seconds; nullopt: none
    std::optional<double> rpo_measured;  ///< what would have been lost when the test began
    std::string description;
};

/// "critical=15min/1h": a tier, its RPO and its RTO, of which one may be "-". Units s, min, h, d.
/// Error: invalid_argument.
ReportObjective parse_objective(const std::string& text);

/// Never met where nothing is known.
enum class Outcome { met, missed, unknown, none };
Outcome outcome_of(const std::optional<double>& objective, const std::optional<double>& measured);

struct ReportStep {
    std::string name;   ///< as in the evidence
    std::string label;  ///< for people
    std::string what;   ///< what it does; "" for one that is not known here
    double seconds = 0;
};

struct ReportCheck {
    std::string name, kind, category, severity, database, status;
    std::optional<double> violations;
    bool is_lower_bound = false;
    std::optional<double> seconds;
    std::string error;
    std::vector<std::string> columns;               ///< of the samples
    std::vector<std::vector<std::string>> samples;  ///< rows
};

struct ReportFinding {
    std::string check, message, detail, hint;
    std::string place;  ///< database, relation, block, file, object: what is known
};

struct SizePoint {
    UnixMicros at = 0;
    double bytes = 0;
};

/// All that a report of one drill says, whatever its form. Text is as it was found: any bytes.
struct DrillFacts {
    std::string test_id, kind, backup_id, cluster, host, program_version, repository;
    UnixMicros started_at = 0;
    UnixMicros completed_at = 0;
    bool success = false;
    double finding_count = 0;
    std::vector<ReportFinding> findings;
    std::vector<std::string> notes;
    std::vector<std::string> chosen;    ///< the checks of a drill, as it was asked for
    std::vector<std::string> left_out;  ///< those that it was told to leave out; empty: none
    /// This drill of some of the checks found nothing, and cannot clear the one of then, which did.
    std::optional<UnixMicros> not_cleared;
    std::string target, reached_lsn, reached_at, timeline;
    std::optional<BackupMarker> backup;  ///< nullopt: it cannot be read any more
    std::vector<ReportStep> steps;
    double total = 0;                                          ///< seconds of the whole test
    std::optional<double> rto;                                 ///< seconds until a server answered
    std::vector<std::pair<std::string, std::string>> amounts;  ///< what was looked at, how much
    std::vector<ReportObjective> objectives;
    std::vector<ReportCheck> checks;    ///< what is wrong first
    bool with_samples = false;          ///< as asked for
    std::vector<RestorePoint> history;  ///< oldest first, this one among them
    std::vector<SizePoint> sizes;       ///< of the database, oldest first
    std::optional<double> predicted;    ///< seconds for the newest backup
    std::optional<double> trend;        ///< seconds in 30 days
    std::vector<std::string> next;      ///< what to do
    UnixMicros made_at = 0;
};

/// Whether the time of this drill meets the objective; never where it does not clear another.
Outcome rto_outcome(const ReportObjective& objective, const DrillFacts& facts);

struct DrillSources {
    nlohmann::json evidence;
    std::vector<nlohmann::json> others;  ///< evidence of other tests
    std::vector<BackupMarker> backups;
    std::vector<ReportObjective> objectives;  ///< by options: they win over those of the evidence
    bool with_samples = false;  ///< what shows data of the checked tables: samples, and what the
                                ///< server or a critical function said
    std::string repository;
    UnixMicros made_at = 0;
};

/// Members that are missing or of another type are left out; it never throws for what evidence
/// holds.
DrillFacts facts_of(const DrillSources& sources);

/// The same as one JSON object.
nlohmann::json to_json(const DrillFacts& facts);

}  // namespace ark
