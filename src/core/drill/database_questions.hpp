#pragma once

#include <string>
#include <vector>

#include "core/drill/constraint_check.hpp"
#include "core/drill/database_check.hpp"

namespace ark {

/// What every database of the copy is asked: its catalogs, tables and indexes, and whether its rows
/// keep its rules. All questions to one database are in one queue, in the order of the tiers.
struct DatabaseQuestions {
    CheckContext relations;
    ConstraintContext rules;
    std::vector<DrillStep> rule_steps;  ///< those of `rules` that are wanted
    int jobs = 2;
};

/// Adds the names of the databases that were questioned. False when the server is lost for good;
/// the others stay unasked then.
bool question_databases(DatabaseQuestions& questions, TaskPool& pool,
                        const std::vector<DatabaseInfo>& databases,
                        std::vector<std::string>& names);

}  // namespace ark
