#pragma once

#include <memory>
#include <string>

#include "core/store/object_store.hpp"

namespace ark {

/// gs://bucket/prefix?… (docs/object-storage.md): the XML API of Google Cloud Storage, which is
/// S3's with other headers and another signature. Error: invalid_argument. Nothing is asked yet,
/// not even for credentials.
std::unique_ptr<ObjectStore> make_google_store(const std::string& url_text,
                                               const StoreOptions& options);

}  // namespace ark
