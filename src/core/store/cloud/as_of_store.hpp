#pragma once

#include <memory>

#include "core/store/cloud/cloud_store.hpp"
#include "core/store/cloud/version_api.hpp"

namespace ark {

/// What the bucket held at this moment, by its own clock: VersionsAt says which version of an
/// object that is. Reads as every store does. What would change something is refused; an object
/// whose version has been removed meanwhile is an error (io_error), and never absent.
std::unique_ptr<ObjectStore> make_as_of_store(CloudParts parts,
                                              std::unique_ptr<VersionApi> versions,
                                              UnixMicros moment);

}  // namespace ark
