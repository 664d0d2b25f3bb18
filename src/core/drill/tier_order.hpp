#pragma once

#include <climits>
#include <map>
#include <string>
#include <vector>

#include "core/base/json.hpp"

namespace ark {

/// In which order a drill works and tells: what ark.recovery_objectives puts first comes first.
class TierOrder {
 public:
    /// Of what is in no tier.
    static constexpr int kLast = INT_MAX;

    TierOrder() = default;
    /// An array of tiers: "position" (number), "databases" (names), "schemas" and "tables" (each an
    /// array of the parts of its name). What is otherwise is left out.
    explicit TierOrder(const nlohmann::json& tiers);

    /// The lower, the earlier. `relation` is "schema.name", quoted where SQL needs it; empty: the
    /// database. As for ark.tier_of the table's own tier counts before its schema's, that before
    /// its database's.
    int position(const std::string& database, const std::string& relation) const;

    /// Of a database: the first of what is named with it.
    int first_in(const std::string& database) const;

 private:
    using Name = std::vector<std::string>;

    void add(std::map<Name, int>& names, const nlohmann::json& list, int position);

    std::map<Name, int> tables_;
    std::map<Name, int> schemas_;
    std::map<Name, int> databases_;
};

}  // namespace ark
