#pragma once

#include <climits>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/repo/repository.hpp"

namespace ark {

/// Something that is wrong with a backup, as precisely as it is known. Empty: not known, or does
/// not apply.
struct Finding {
    /// What found it: marker, pack, index, manifest, config, census, answers, wal,
    /// wal_after_backup, restore, files, recovery, page, connect, catalog, heap, index_structure,
    /// rows; of a drill
    /// target, foreign_key, constraint, unique_key, sequence, integrity, critical_function.
    std::string check = {};
    std::string object = {};             ///< name in the repository
    std::string path = {};               ///< file, relative to the data directory
    std::string database = {};           ///< name
    std::string relation = {};           ///< schema.name, each quoted where SQL needs it
    std::optional<uint64_t> block = {};  ///< in the relation's fork
    std::string message = {};
    std::string detail = {};
    std::string hint = {};
    int tier = INT_MIN;  ///< position of its relation's tier, for the order; not stored
};

/// A finding out of what a step threw.
Finding finding_of(const std::string& check, const Error& error);

/// How many findings are kept; all are counted.
constexpr size_t kMaxFindings = 500;

/// Findings of several threads are added under the caller's lock.
struct Findings {
    std::vector<Finding> kept;
    uint64_t count = 0;
    void add(Finding finding);
};

/// What a verification or a restore test did, and what came out: docs/repository-format.md
/// "Evidence".
struct Evidence {
    std::string test_id;  ///< uuid
    std::string kind;     ///< verification | restore_test | drill
    std::string backup_id;
    std::string cluster;
    std::string host;
    std::string program_version;
    UnixMicros started_at = 0;
    UnixMicros completed_at = 0;
    bool success = false;  ///< everything was checked and nothing was wrong
    Findings errors;
    std::vector<std::string> notes;                      ///< what could not be checked, and why
    nlohmann::json verified = nlohmann::json::object();  ///< what was checked, and how much of it
};

/// One JSON object, on one line, at most 500 KB (findings are shortened if need be).
std::string to_json(const Evidence& evidence);

/// Stores it as backup/<id>/tests/<test id>.json. Error: what the store throws.
void store_evidence(Repository& repository, const Evidence& evidence);

/// A random (version 4) UUID.
std::string make_uuid();

}  // namespace ark
