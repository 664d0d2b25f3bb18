#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/base/clock.hpp"
#include "core/repo/repository.hpp"

namespace ark {

/// Stores entries of ark.audit_log, a JSON array of objects, as audit/<date>/<time>-<id>.json of
/// the cluster. `at`: of the newest of them; `id`: a UUID of its own. Error: invalid_argument where
/// they are no such array or are too many for one object, and what the store throws.
void store_audit(Repository& repository, const std::string& cluster, UnixMicros at,
                 const std::string& id, const std::string& entries);

/// What a cluster's directory has: entries of this UTC date ("2026-11-20"; empty: all) and later,
/// in the order of time, each once: one that could not be marked as stored was stored again. An
/// object that cannot be read is named in `bad` and keeps no other.
std::vector<nlohmann::json> read_audit(Repository& repository, const std::string& cluster,
                                       const std::string& since, std::vector<std::string>* bad);

}  // namespace ark
