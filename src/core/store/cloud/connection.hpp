#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/http/curl_transport.hpp"
#include "core/http/patience.hpp"
#include "core/store/cloud/cloud_store.hpp"

namespace ark {

/// The lower half of every cloud store: curl below, patience and counters beside it.
struct Connection {
    std::shared_ptr<Patience> patience;
    std::shared_ptr<CurlTransport> transport;

    /// With the vendor's transport, which signs, and retries above it.
    CloudParts parts(StoreUrl url, std::unique_ptr<BlobApi> api,
                     std::shared_ptr<HttpTransport> signer,
                     std::function<int64_t()> clock_skew) const;
};

Connection connect(const std::string& ca_file, const StoreOptions& options);

/// "https://host[:port]" without a slash at its end; empty stays empty. Error: invalid_argument.
std::string check_endpoint(std::string endpoint);

}  // namespace ark
