#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/drill/constraint_queries.hpp"
#include "core/drill/drill_steps.hpp"
#include "core/drill/page_check.hpp"
#include "core/drill/task_pool.hpp"
#include "core/repo/evidence.hpp"

namespace ark {

/// What the checks of rules in all databases share.
struct ConstraintContext {
    uint32_t major = 15;
    int jobs = 2;
    int memory_mb = 64;  ///< for sorts and hashes of all lanes together
    Findings* findings = nullptr;
    std::vector<std::string>* notes = nullptr;
    const TierOrder* tiers = nullptr;
    std::optional<Error>* missing = nullptr;  ///< what a rule needs and this host has not
    /// What is known of tables' rows without asking; none where their pages were not looked at.
    const std::map<RelationId, RowsSeen>* rows = nullptr;
    uint64_t foreign_keys = 0;  ///< how many were checked, in all databases
    uint64_t row_rules = 0;
    uint64_t unique_keys = 0;
    uint64_t sequences = 0;
};

/// Holds the rows of one database against one kind of its rules: foreign_keys, constraints,
/// unique_keys or sequences.
std::unique_ptr<Asker> make_constraint_check(ConstraintContext& context, TaskPool& pool,
                                             const std::string& database, DrillStep step);

}  // namespace ark
