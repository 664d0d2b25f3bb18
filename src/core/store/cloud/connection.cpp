#include "core/store/cloud/connection.hpp"

#include "core/base/error.hpp"
#include "core/http/retry_transport.hpp"

namespace ark {

Connection connect(const std::string& ca_file, const StoreOptions& options) {
    Connection connection;
    connection.patience = std::make_shared<Patience>(options.retry_timeout);
    CurlOptions curl;
    curl.ca_file = ca_file;
    connection.transport = std::make_shared<CurlTransport>(curl, connection.patience);
    return connection;
}

CloudParts Connection::parts(StoreUrl url, std::unique_ptr<BlobApi> api,
                             std::shared_ptr<HttpTransport> signer,
                             std::function<int64_t()> clock_skew) const {
    const auto retries = std::make_shared<std::atomic<uint64_t>>(0);
    CloudParts out;
    out.url = std::move(url);
    out.api = std::move(api);
    out.transport = std::make_shared<RetryTransport>(
        std::move(signer), patience, [retries](const HttpFailure&, int, double) { ++*retries; });
    out.traffic = [curl = transport, retries] {
        const HttpCounts& counts = curl->counts();
        return StoreTraffic{counts.reads, counts.writes,     counts.deletes,
                            *retries,     counts.bytes_sent, counts.bytes_received};
    };
    out.clock_skew = std::move(clock_skew);
    return out;
}

std::string check_endpoint(std::string endpoint) {
    while (endpoint.ends_with('/'))
        endpoint.pop_back();
    const size_t scheme = endpoint.find("://");
    const bool known = endpoint.starts_with("https://") || endpoint.starts_with("http://");
    if (endpoint.empty())
        return endpoint;
    if (!known || endpoint.size() == scheme + 3 ||
        endpoint.find_first_of("/?#@ ", scheme + 3) != std::string::npos) {
        throw Error(ErrorCode::invalid_argument, "invalid repository URL",
                    "Its option \"endpoint\" is not of the form https://host:port.");
    }
    return endpoint;
}

}  // namespace ark
