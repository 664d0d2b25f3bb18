#pragma once

#include <memory>
#include <string>

#include "core/store/object_store.hpp"

namespace ark {

/// azure://container/prefix?account=… (docs/object-storage.md). Error: invalid_argument. Nothing is
/// asked yet, not even for credentials.
std::unique_ptr<ObjectStore> make_azure_store(const std::string& url_text,
                                              const StoreOptions& options);

}  // namespace ark
