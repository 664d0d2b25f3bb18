#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/repo/repository.hpp"

namespace ark {

/// Stores entries of ark.audit_log, a JSON array of objects, as audit/<date>/<time>-<id>.json of
/// the cluster. `at`: of the newest of them; `id`: a UUID of its own. Error: invalid_argument where
/// they are no such array or are too many for one object, and what the store throws.
void store_audit(Repository& repository, const std::string& cluster, UnixMicros at,
                 const std::string& id, const std::string& entries);

/// An object of the log that could not be read: its name below the cluster's directory, and why (in
/// words that name it).
struct UnreadAudit {
    std::string place;
    Error error;
};

/// What a cluster's directory has: entries of this UTC date ("2026-11-20"; empty: all) and later,
/// in the order of time, each once: one that could not be marked as stored was stored again. Two of
/// one id that say different things are both there: one of them was changed, or forged. An object
/// that is damaged, or that the repository's vault cannot open or does not accept, is named in
/// `unread` and keeps no other. Error: what the store throws.
std::vector<nlohmann::json> read_audit(Repository& repository, const std::string& cluster,
                                       const std::string& since, std::vector<UnreadAudit>* unread);

}  // namespace ark
