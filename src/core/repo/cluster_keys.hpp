#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/repo/key_source.hpp"
#include "core/repo/repository.hpp"
#include "core/repo/vault.hpp"

namespace ark {

/// A secret that is read when it is first needed, once, and opens the keyrings of clusters.
class ClusterKeys {
 public:
    explicit ClusterKeys(KeySource source) : source_(std::move(source)) {}

    const KeySource& source() const { return source_; }
    /// Opens the cluster's keyring. nullopt where it has none. Error: as read_key_secret and
    /// OpenKeyring::open.
    std::optional<OpenKeyring> open(ObjectStore& store, const std::string& cluster);
    /// Error: as read_key_secret.
    const KeySecret& secret();

    /// For who reads: gives the repository the cluster's vault. Does nothing where no key was given
    /// or the cluster has no keyring: then what is encrypted is not read, and what is not is.
    /// `refuses_plain`: nothing that is not encrypted is. Error: as open; refused where plain
    /// objects shall be refused and there is no key or no keyring.
    void use(Repository& repository, const std::string& cluster, bool refuses_plain);

 private:
    KeySource source_;
    std::optional<KeySecret> secret_;
};

/// What a server or a receiver is told to do with what it writes.
struct EncryptionWish {
    bool encrypts = false;
    KeySource source;
    std::string recipients;  ///< text; where there is a key, too, the key counts
};

/// For who writes: gives the repository the cluster's vault, before anything is written. Error:
/// what keeps it from encrypting where it shall: no key, none that opens, no keyring, recipients
/// that are none. Nothing may be written then.
void prepare_encryption(Repository& repository, const std::string& cluster,
                        const EncryptionWish& wish);

}  // namespace ark
