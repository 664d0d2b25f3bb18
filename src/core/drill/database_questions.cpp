#include "core/drill/database_questions.hpp"

#include <algorithm>

namespace ark {

namespace {

bool question(DatabaseQuestions& questions, TaskPool& pool, const DatabaseInfo& database,
              bool first) {
    std::vector<std::unique_ptr<Asker>> askers;
    askers.push_back(std::make_unique<DatabaseCheck>(questions.relations, pool, database, first));
    for (const DrillStep step : questions.rule_steps)
        askers.push_back(make_constraint_check(questions.rules, pool, database.name, step));
    std::vector<CheckTask> tasks;
    return std::ranges::all_of(askers,
                               [&](const auto& asker) { return asker->add_tasks(tasks); }) &&
           pool.run(database.name, std::move(tasks), questions.jobs);
}

}  // namespace

bool question_databases(DatabaseQuestions& questions, TaskPool& pool,
                        const std::vector<DatabaseInfo>& databases,
                        std::vector<std::string>& names) {
    questions.rules.missing = &questions.relations.missing;
    for (const DatabaseInfo& database : databases) {
        if (database.half_dropped) {
            questions.relations.notes->push_back("database " + database.name +
                                                 " is half dropped and takes no connections");
            continue;
        }
        const bool whole = question(questions, pool, database, names.empty());
        names.push_back(database.name);
        if (!whole)
            return false;
    }
    return true;
}

}  // namespace ark
