#include "core/drill/constraint_check.hpp"

#include <algorithm>
#include <charconv>
#include <unordered_map>
#include <utility>

#include "core/drill/inventory.hpp"
#include "core/drill/server_log.hpp"
#include "core/pgdata/server_version.hpp"

namespace ark {

namespace {

// Each is a sort of the whole table; from PostgreSQL 17 on amcheck looks for duplicates anyway.
constexpr uint64_t kMostUniqueBytes = 1ULL << 30;

uint64_t number_in(const std::optional<std::string>& text) {
    uint64_t value = 0;
    if (text)
        std::from_chars(text->data(), text->data() + text->size(), value);
    return value;
}

// With the words' first letter as a sentence has it.
std::string rows_break(uint64_t count, const std::string& what) {
    return std::to_string(count) + (count == 1 ? " row breaks " : " rows break ") + what;
}

class ConstraintCheck final : public Asker {
 public:
    ConstraintCheck(ConstraintContext& context, TaskPool& pool, std::string database,
                    DrillStep step)
        : context_(context), pool_(pool), database_(std::move(database)), step_(step) {}

    bool add_tasks(std::vector<CheckTask>& tasks) override {
        if (!list())
            return !lost_ || pool_.revive();
        for (size_t i = 0; i < groups_.size(); ++i)
            tasks.push_back(task(i));
        return true;
    }

    // A sequence's column is asked through its index, where it has one: it is amcheck that looks
    // at that. All others read the tables themselves.
    Question question(const CheckTask& task) const override {
        const Group& group = groups_[task.relation];
        const Rule& first = rules_[group.first];
        if (step_ != DrillStep::constraints)
            return {first.relation, settings() + first.sql, role_of(first)};
        const auto begin = rules_.begin() + static_cast<ptrdiff_t>(group.first);
        return {
            first.relation,
            settings() + row_rules_question({begin, begin + static_cast<ptrdiff_t>(group.count)}),
            role_of(first)};
    }

    std::vector<CheckTask> answer(const CheckTask& task, const SqlResult& result) override {
        const Group group = groups_[task.relation];
        if (result.failed)
            return answer_failure(group, result);
        for (const SqlRow& row : result.rows()) {
            if (step_ == DrillStep::constraints) {
                const size_t i = number_in(row[0]);
                if (i < group.count)
                    add(rules_[group.first + i], number_in(row[1]), row[2].value_or(""), "");
            } else {
                add(rules_[group.first], number_in(row[0]), row[1].value_or(""),
                    row[2].value_or(""));
            }
        }
        return {};
    }

    const char* step_of(const CheckTask& /*task*/) const override {
        switch (step_) {
            case DrillStep::foreign_keys:
                return "foreign_keys";
            case DrillStep::constraints:
                return "constraints";
            case DrillStep::unique_keys:
                return "unique_keys";
            default:
                return "sequences";
        }
    }

 private:
    // Of row rules those of one relation, of others one.
    struct Group {
        size_t first;
        size_t count;
    };

    int tier_of(const std::string& relation) const {
        return context_.tiers == nullptr ? TierOrder::kLast
                                         : context_.tiers->position(database_, relation);
    }

    CheckTask task(size_t group) {
        const auto& rule = rules_[groups_[group].first];
        return {this,       TaskKind::rule, static_cast<uint32_t>(group),
                rule.bytes, nullptr,        tier_of(rule.relation)};
    }

    // Who asks: the table's owner where the code of the table's rules runs. A foreign key's two
    // tables may have two owners; its operators are the server's or of a superuser's.
    std::string role_of(const Rule& rule) const {
        const auto found = owners_.find(rule.relation);
        return found == owners_.end() ? "" : found->second;
    }

    SqlResult list_owners() {
        if (step_ != DrillStep::constraints && step_ != DrillStep::unique_keys)
            return {};
        return pool_.ask_rows(database_, owners_query(), [&](const SqlRow& row) {
            owners_.emplace(row[0].value_or(""), row[1].value_or(""));
        });
    }

    bool list() {
        if (step_ == DrillStep::unique_keys && !wants_unique_keys())
            return true;
        SqlResult result = list_owners();
        if (!result.failed)
            result = pool_.ask_rows(
                database_, std::string(without_indexes()) + "; " + list_query(),
                [&](const SqlRow& row) {
                    ++count();
                    Rule rule = rule_of(row);
                    if (rule.sql.empty())
                        note(rule.what + " of " + rule.relation +
                             " was not checked, since a user's cast converts its columns");
                    else if (!is_kept_by_pages(rule))
                        rules_.push_back(std::move(rule));
                });
        if (result.failed) {
            lost_ = result.lost;
            Finding finding = failure("pg_catalog.pg_constraint", result);
            finding.check = "catalog";
            context_.findings->add(std::move(finding));
            return false;
        }
        const bool together = step_ == DrillStep::constraints;
        for (size_t i = 0; i < rules_.size(); ++i) {
            if (together && i > 0 && rules_[i].relation == rules_[i - 1].relation &&
                groups_.back().count < kMostTogether) {
                ++groups_.back().count;
            } else {
                groups_.push_back({i, 1});
            }
        }
        return true;
    }

    // The page check has seen every row that a NOT NULL is about, and those that are gone too.
    bool is_kept_by_pages(const Rule& rule) const {
        const auto place = parse_relation_path(rule.file);
        if (context_.rows == nullptr || rule.not_null.empty() || !place)
            return false;
        const auto found = context_.rows->find(place->relation());
        return found != context_.rows->end() &&
               std::ranges::all_of(rule.not_null, [&](uint32_t column) {
                   return found->second.nulls.has_value_in_all_rows(column);
               });
    }

    bool wants_unique_keys() {
        if (context_.major >= kFirstWithUniqueCheck)
            return false;
        const SqlResult large = pool_.ask(database_, large_unique_keys_query(kMostUniqueBytes));
        const uint64_t left =
            large.failed || large.rows().empty() ? 0 : number_in(large.rows().front().front());
        if (left > 0)
            note(std::to_string(left) +
                 " unique keys of tables of more than 1 GB were not looked "
                 "through for duplicates");
        return true;
    }

    std::string list_query() const {
        switch (step_) {
            case DrillStep::foreign_keys:
                return foreign_keys_query();
            case DrillStep::constraints:
                return row_rules_query();
            case DrillStep::unique_keys:
                return unique_keys_query(kMostUniqueBytes);
            default:
                return sequences_query();
        }
    }

    uint64_t& count() const {
        switch (step_) {
            case DrillStep::foreign_keys:
                return context_.foreign_keys;
            case DrillStep::constraints:
                return context_.row_rules;
            case DrillStep::unique_keys:
                return context_.unique_keys;
            default:
                return context_.sequences;
        }
    }

    const char* check_name() const {
        switch (step_) {
            case DrillStep::foreign_keys:
                return "foreign_key";
            case DrillStep::constraints:
                return "constraint";
            case DrillStep::unique_keys:
                return "unique_key";
            default:
                return "sequence";
        }
    }

    std::string settings() const {
        if (step_ == DrillStep::sequences)
            return "SET LOCAL enable_seqscan = on; ";
        const int each = std::max(context_.memory_mb / std::max(context_.jobs, 1), 1);
        return std::string(without_indexes()) +
               "; SET LOCAL enable_nestloop = off; SET LOCAL work_mem = '" + std::to_string(each) +
               "MB'; ";
    }

    // A rule's code that fails in the copy says nothing of the others. Its words may show the
    // row's values, which a note must not.
    std::vector<CheckTask> answer_failure(const Group& group, const SqlResult& result) {
        std::vector<CheckTask> again;
        const Rule& rule = rules_[group.first];
        if (auto missing = missing_library(result, database_)) {
            if (!*context_.missing)
                *context_.missing = std::move(missing);
        } else if (!is_of_code(result)) {
            context_.findings->add(failure(rule.relation, result));
        } else if (group.count > 1) {
            for (size_t i = 0; i < group.count; ++i) {
                groups_.push_back({group.first + i, 1});
                again.push_back(task(groups_.size() - 1));
            }
        } else {
            note(rule.what + " of " + rule.relation +
                 " was not checked, since its code fails in the copy (SQLSTATE " + result.sqlstate +
                 ")");
        }
        return again;
    }

    Finding failure(const std::string& relation, const SqlResult& result) const {
        Finding finding;
        finding.check = check_name();
        finding.database = database_;
        finding.relation = relation;
        finding.tier = tier_of(relation);
        finding.message = result.message;
        finding.detail = result.detail;
        finding.block = block_in(result.message);
        finding.path = path_in(result.message).value_or("");
        return finding;
    }

    void add(const Rule& rule, uint64_t count, const std::string& place,
             const std::string& detail) {
        Finding finding;
        finding.check = check_name();
        finding.database = database_;
        finding.relation = rule.relation;
        finding.tier = tier_of(rule.relation);
        finding.block = block_of_place(place);
        if (step_ == DrillStep::sequences) {
            finding.message = rule.what + " is behind it";
        } else if (step_ == DrillStep::unique_keys) {
            finding.message = rule.what + ": " + std::to_string(count) +
                              (count == 1 ? " key is" : " keys are") + " there more than once";
        } else {
            finding.message = rows_break(count, rule.what);
        }
        finding.detail = place.empty() ? detail : "One is at " + place + ".";
        if (rule.is_note) {
            note(rule.relation + ": " + finding.message +
                 ", where nothing refuses a value twice: " + finding.detail);
        } else {
            context_.findings->add(std::move(finding));
        }
    }

    void note(const std::string& text) {
        constexpr size_t kMostNotes = 200;
        if (context_.notes->size() < kMostNotes)
            context_.notes->push_back(database_ + ": " + text);
    }

    static constexpr size_t kMostTogether = 200;  // two columns each of at most 1600

    ConstraintContext& context_;
    TaskPool& pool_;
    const std::string database_;
    const DrillStep step_;
    std::vector<Rule> rules_;
    std::vector<Group> groups_;
    std::unordered_map<std::string, std::string> owners_;  ///< of relations
    bool lost_ = false;
};

}  // namespace

std::unique_ptr<Asker> make_constraint_check(ConstraintContext& context, TaskPool& pool,
                                             const std::string& database, DrillStep step) {
    return std::make_unique<ConstraintCheck>(context, pool, database, step);
}

}  // namespace ark
