#include "core/drill/drill_steps.hpp"

#include <algorithm>
#include <array>
#include <sstream>
#include <string_view>
#include <utility>

#include "core/base/error.hpp"

namespace ark {

namespace {

// In the order of the enumeration.
constexpr std::array<std::string_view, 13> kNames{
    "objects",      "files",       "pages",       "catalog",   "amcheck", "rows",
    "foreign_keys", "constraints", "unique_keys", "sequences", "checks",  "critical_functions",
    "census"};

}  // namespace

DrillSteps DrillSteps::of_restore_test() {
    DrillSteps steps(0);
    for (const DrillStep step : {DrillStep::objects, DrillStep::files, DrillStep::pages,
                                 DrillStep::catalog, DrillStep::amcheck, DrillStep::rows})
        steps.add(step);
    return steps;
}

DrillSteps DrillSteps::parse(const std::string& names) {
    DrillSteps steps(0);
    std::istringstream words(names);
    for (std::string word; std::getline(words, word, ',');) {
        const size_t first = word.find_first_not_of(' ');
        if (first == std::string::npos)
            continue;
        word = word.substr(first, word.find_last_not_of(' ') - first + 1);
        const auto found = std::ranges::find(kNames, word);
        if (found == kNames.end()) {
            throw Error(ErrorCode::invalid_argument, "unknown check \"" + word + "\"", {},
                        "The checks are " + all_step_names() + ".");
        }
        steps.add(static_cast<DrillStep>(found - kNames.begin()));
    }
    if (steps == DrillSteps(0))
        throw Error(ErrorCode::invalid_argument, "no check was named", {},
                    "The checks are " + all_step_names() + ".");
    return steps;
}

std::vector<std::string> DrillSteps::names() const {
    std::vector<std::string> out;
    for (size_t i = 0; i < kNames.size(); ++i) {
        if (has(static_cast<DrillStep>(i)))
            out.emplace_back(kNames[i]);
    }
    return out;
}

std::optional<DrillStep> step_instead_of(std::string_view ready_made) {
    constexpr std::array<std::pair<std::string_view, DrillStep>, 5> kSteps{
        {{"foreign_keys", DrillStep::foreign_keys},
         {"not_null", DrillStep::constraints},
         {"check_constraints", DrillStep::constraints},
         {"duplicate_keys", DrillStep::unique_keys},
         {"sequences_behind", DrillStep::sequences}}};
    for (const auto& [kind, step] : kSteps) {
        if (kind == ready_made)
            return step;
    }
    return std::nullopt;
}

std::string joined_names(const DrillSteps& steps) {
    std::string out;
    for (const std::string& name : steps.names())
        out += (out.empty() ? "" : ", ") + name;
    return out;
}

std::string all_step_names() {
    return joined_names(DrillSteps::all());
}

}  // namespace ark
