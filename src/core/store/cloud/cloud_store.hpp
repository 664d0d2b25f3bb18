#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/http/transport.hpp"
#include "core/store/cloud/blob_api.hpp"
#include "core/store/store_url.hpp"

namespace ark {

struct CloudOptions {
    /// The store refuses to create what is there. Where it cannot, each put asks first, which two
    /// racing writers can both do: the user has said so.
    bool create_if_absent = true;
    /// Of an upload whose size is not known yet. All parts but the last have it (some stores want
    /// that), unless the object is so large that it would have more than 10,000.
    size_t part_bytes = 8 << 20;
    /// Parts of one upload that are on their way while its writer fills the next.
    size_t parts_in_flight = 2;
    size_t part_threads = 4;
};

/// What a cloud store is made of, outermost first; `transport` retries, signs and sends.
struct CloudParts {
    StoreUrl url;
    std::unique_ptr<BlobApi> api;
    std::shared_ptr<HttpTransport> transport;
    std::function<StoreTraffic()> traffic;
    /// Seconds by which the store's clock is ahead.
    std::function<int64_t()> clock_skew;
};

/// The store over any vendor's API.
std::unique_ptr<ObjectStore> make_cloud_store(CloudParts parts, CloudOptions options);

}  // namespace ark
