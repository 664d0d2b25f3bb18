#pragma once

#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/drill/inventory.hpp"
#include "core/drill/task_pool.hpp"
#include "core/pgdata/timeline_history.hpp"
#include "core/repo/evidence.hpp"
#include "core/repo/marker.hpp"

namespace ark {

/// What it takes to ask the copy what the databases answered when the backup was taken.
struct AnswerCheckContext {
    Repository& repository;
    const BackupMarker& marker;
    const TimelineHistory& way;  ///< that recovery took
    Lsn reached = 0;             ///< and how far
    SessionTarget reader;
    Findings* findings = nullptr;
    std::vector<std::string>* notes = nullptr;
    nlohmann::json* told = nullptr;  ///< for the evidence
    /// Called for a database before the first query in it that a user wrote; false: none is asked.
    std::function<bool(const std::string& database)> before_values;
};

/// Asks again and compares, what WAL between the answer and the place that recovery came to has not
/// changed; all else is counted. A difference is a finding (census). False when the server is lost
/// for good. Error: unavailable and the like, of the repository.
bool check_answers(AnswerCheckContext& context, TaskPool& pool,
                   const std::vector<DatabaseInfo>& databases, Watch& watch);

}  // namespace ark
