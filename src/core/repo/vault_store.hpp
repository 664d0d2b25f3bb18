#pragma once

#include <memory>
#include <string>

#include "core/repo/vault.hpp"
#include "core/store/object_store.hpp"

namespace ark {

/// The vault of this cluster that the store was given (Repository::use_vault); nullptr where it was
/// given none, and what is stored there is not encrypted.
std::shared_ptr<const Vault> vault_of(const ObjectStore& store, const std::string& cluster);

/// Whether this is a host that writes the cluster's objects and can't read them.
bool only_writes(const ObjectStore& store, const std::string& cluster);
/// Error: invalid_key on such a host, for what has no meaning there: "verifying a backup".
void refuse_without_key(const ObjectStore& store, const std::string& cluster,
                        const std::string& what);

/// The same store, which carries a cluster's vault. Where that encrypts, the store refuses to write
/// anything else below the cluster's directory but keyrings: a writer that does not know of
/// encryption fails, and lays nothing open.
std::unique_ptr<ObjectStore> with_vault(std::unique_ptr<ObjectStore> store,
                                        const std::string& cluster,
                                        std::shared_ptr<const Vault> vault);

}  // namespace ark
