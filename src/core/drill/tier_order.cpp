#include "core/drill/tier_order.hpp"

#include <algorithm>
#include <optional>

namespace ark {

namespace {

// "schema.name" as quote_ident leaves it.
std::vector<std::string> parts_of(const std::string& text) {
    std::vector<std::string> parts(1);
    bool quoted = false;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '"' && quoted && i + 1 < text.size() && text[i + 1] == '"') {
            parts.back() += '"';
            ++i;
        } else if (text[i] == '"') {
            quoted = !quoted;
        } else if (text[i] == '.' && !quoted) {
            parts.emplace_back();
        } else {
            parts.back() += text[i];
        }
    }
    return parts;
}

std::optional<std::vector<std::string>> name_in(const nlohmann::json& value) {
    if (value.is_string())
        return std::vector<std::string>{value.get<std::string>()};
    if (!value.is_array() || value.empty() ||
        !std::ranges::all_of(value, [](const auto& part) { return part.is_string(); }))
        return std::nullopt;
    return value.get<std::vector<std::string>>();
}

}  // namespace

TierOrder::TierOrder(const nlohmann::json& tiers) {
    if (!tiers.is_array())
        return;
    for (const nlohmann::json& tier : tiers) {
        if (!tier.is_object() || !tier.contains("position") ||
            !tier["position"].is_number_integer())
            continue;
        const int position = tier["position"].get<int>();
        add(tables_, tier.value("tables", nlohmann::json()), position);
        add(schemas_, tier.value("schemas", nlohmann::json()), position);
        add(databases_, tier.value("databases", nlohmann::json()), position);
    }
}

void TierOrder::add(std::map<Name, int>& names, const nlohmann::json& list, int position) {
    if (!list.is_array())
        return;
    for (const nlohmann::json& value : list) {
        const auto name = name_in(value);
        if (!name)
            continue;
        const auto [at, is_new] = names.try_emplace(*name, position);
        if (!is_new)
            at->second = std::min(at->second, position);
    }
}

int TierOrder::position(const std::string& database, const std::string& relation) const {
    const auto look = [](const std::map<Name, int>& names, const Name& name) {
        const auto found = names.find(name);
        return found == names.end() ? std::nullopt : std::optional(found->second);
    };
    const Name name = parts_of(relation);
    if (name.size() == 2) {
        for (const auto& [names, key] :
             {std::pair(&tables_, Name{database, name[0], name[1]}), std::pair(&tables_, name),
              std::pair(&schemas_, Name{database, name[0]}), std::pair(&schemas_, Name{name[0]})}) {
            if (const auto position = look(*names, key))
                return *position;
        }
    }
    return look(databases_, {database}).value_or(kLast);
}

int TierOrder::first_in(const std::string& database) const {
    int first = position(database, "");
    for (const auto& [names, parts] : {std::pair(&tables_, 3), std::pair(&schemas_, 2)}) {
        for (const auto& [name, position] : *names) {
            if (name.size() == static_cast<size_t>(parts) && name.front() == database)
                first = std::min(first, position);
        }
    }
    return first;
}

}  // namespace ark
