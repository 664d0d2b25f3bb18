#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ark {

/// What a drill may check once the copy is restored; docs/restore-tests.md. Restoring and
/// recovering is always part of it.
enum class DrillStep : uint8_t {
    objects,
    files,
    pages,
    catalog,
    amcheck,
    rows,
    foreign_keys,
    constraints,
    unique_keys,
    sequences,
    checks,
    critical_functions,
    census,
};

/// A set of them.
class DrillSteps {
 public:
    static DrillSteps all() { return DrillSteps(~0U); }
    /// What a restore test has always done: nothing that a sound backup of unsound data fails.
    static DrillSteps of_restore_test();
    /// Of names with commas between them. Error: invalid_argument for one that there is not, and
    /// for none.
    static DrillSteps parse(const std::string& names);

    bool has(DrillStep step) const { return (bits_ & bit(step)) != 0; }
    void add(DrillStep step) { bits_ |= bit(step); }
    DrillSteps others() const { return DrillSteps(~bits_); }
    /// Of those in it, in the order of the enumeration.
    std::vector<std::string> names() const;

    bool operator==(const DrillSteps&) const = default;

 private:
    explicit DrillSteps(uint32_t bits) : bits_(bits) {}
    static uint32_t bit(DrillStep step) { return 1U << static_cast<unsigned>(step); }

    uint32_t bits_;
};

/// The step that looks at all that a ready-made check of this kind would look at; nullopt: none.
std::optional<DrillStep> step_instead_of(std::string_view ready_made);

/// The names of those, with commas between them.
std::string joined_names(const DrillSteps& steps);

/// Every name, with commas between them.
std::string all_step_names();

}  // namespace ark
