#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/pgdata/wal_name.hpp"
#include "core/repo/object.hpp"
#include "core/store/object_store.hpp"

namespace ark {

/// Where checks of the store write, beside the clusters' directories.
constexpr const char* kProbeDirectory = "ark-probe";

enum class OpenMode {
    read,    ///< it must be a repository
    write,   ///< it must be a repository
    create,  ///< an empty or absent place becomes one
};

/// A repository: a store whose root holds ark.json, and in it one directory a cluster. Thread-safe.
class Repository {
 public:
    /// Error: not_found when the place is not a pg_ark repository (with `create`: refused when it
    /// holds other things), unsupported when its format is newer than this program.
    static std::unique_ptr<Repository> open(const std::string& url, OpenMode mode,
                                            const StoreOptions& options = {});
    /// The same over a store that is open already (tests, decorators).
    static std::unique_ptr<Repository> open(std::unique_ptr<ObjectStore> store, OpenMode mode);

    ObjectStore& store() { return *store_; }
    /// From here on objects of this cluster are encrypted, and read, by the vault. Before anything
    /// else is done with the cluster: a reference that store() gave earlier knows nothing of it.
    void use_vault(const std::string& cluster, std::shared_ptr<const Vault> vault);
    const std::string& id() const { return id_; }
    std::string url() const { return store_->url(); }

    /// Names of the clusters' directories.
    std::vector<std::string> clusters();
    /// The directory to use: `wanted` where given (Error: not_found when it isn't there), else the
    /// only one (Error: invalid_argument naming all when there are several, not_found for none).
    std::string resolve_cluster(const std::string& wanted);

 private:
    Repository(std::unique_ptr<ObjectStore> store, std::string id);

    std::unique_ptr<ObjectStore> store_;
    std::string id_;
};

/// Where things are below a cluster's directory (docs/repository-format.md "Layout"): the `place`
/// of object headers.
namespace place {
/// wal/<tli>/<high 8 hex>/<segment>.zst
std::string segment(const std::string& segment_file_name);
/// wal/<tli>/<high 8 hex>/<segment>.partial.<sha256>.zst
std::string partial(const std::string& partial_file_name, const std::string& sha256);
/// wal/<tli>/<tli>.history (stored as it is)
std::string history(TimelineId timeline);
/// wal/<tli>/<high 8 hex>
std::string segment_directory(const std::string& segment_file_name);
/// tail/<tli>: pieces of the segments of one timeline
std::string tail_timeline(TimelineId timeline);
/// tail/<tli>/<segment>
std::string tail_directory(const std::string& segment_file_name);
/// tail/<tli>/<segment>/<from>.zst: the piece that begins `from` bytes into the segment
std::string tail(const std::string& segment_file_name, uint32_t from);
/// blocks/<tli>: change tables of one timeline
std::string changes_timeline(TimelineId timeline);
/// blocks/<tli>/<from>-<to>.zst, both as 16 hexadecimal digits in upper case
std::string changes(TimelineId timeline, Lsn from, Lsn to);
/// The ends that such a name says, without its directory; nullopt for any other.
std::optional<std::pair<Lsn, Lsn>> parse_changes(std::string_view name);
std::string backup(const std::string& backup_id);
std::string pack(const std::string& backup_id, uint32_t number);
/// backup/<id>/data/<nnnnn>.part.zst: what a pack of a backup that goes on has
std::string part(const std::string& backup_id, uint32_t number);
/// The number that such a name, or a pack's, says, without its directory; nullopt for others.
std::optional<uint32_t> parse_part(std::string_view name);
std::optional<uint32_t> parse_pack(std::string_view name);
std::string index(const std::string& backup_id);
std::string manifest(const std::string& backup_id);
std::string config(const std::string& backup_id);
std::string census(const std::string& backup_id);
std::string answers(const std::string& backup_id);
std::string marker(const std::string& backup_id);
/// backup/<id>/tests/<test id>.json
std::string evidence(const std::string& backup_id, const std::string& test_id);
/// audit
inline constexpr const char* kAudit = "audit";
/// audit/<date>/<time>-<id>.json, the time in UTC
std::string audit(UnixMicros at, const std::string& id);
/// verified
inline constexpr const char* kVerified = "verified";
/// verified/<time>-<id>.zst; of what was found damaged verified/<time>-<id>.damaged.zst
std::string verified(UnixMicros at, const std::string& id, bool is_damage);
bool is_verified_damage(std::string_view name);
/// keys
inline constexpr const char* kKeys = "keys";
/// keys/<generation>.json
std::string keyring(uint64_t generation);
}  // namespace place

/// Letters, digits, '_', '-' and '.', at most 128, not beginning with '.': safe as a name part.
bool is_valid_name_part(const std::string& text);

}  // namespace ark
