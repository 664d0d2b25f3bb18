#pragma once

#include <optional>
#include <string>

#include "core/repo/open_keyring.hpp"
#include "core/store/object_store.hpp"

namespace ark {

/// The cluster's keyring of the highest generation; nullopt where it has none. Error: corrupt,
/// also where it lies under another's name.
std::optional<Keyring> find_keyring(ObjectStore& store, const std::string& cluster);

/// Stores the next generation of an opened (or new) keyring. Error: conflict where another host
/// made that generation meanwhile: what is there counts, and the change is to be made again.
void store_next_keyring(ObjectStore& store, OpenKeyring& keyring, const Writer& writer);

}  // namespace ark
