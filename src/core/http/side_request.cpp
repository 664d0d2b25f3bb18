#include "core/http/side_request.hpp"

#include "core/http/curl_transport.hpp"
#include "core/http/retry_transport.hpp"

namespace ark {

namespace {

constexpr double kBudget = 10;
// These services are near, or not there at all: outside of a cloud the address leads nowhere.
constexpr double kConnectTimeout = 2;
constexpr double kStallTimeout = 5;

class ServerErrors final : public HttpTransport {
 public:
    explicit ServerErrors(std::shared_ptr<HttpTransport> inner) : inner_(std::move(inner)) {}
    HttpResponse perform(const HttpRequest& request) override {
        HttpResponse response = inner_->perform(request);
        if (response.status == 429 || response.status >= 500) {
            throw HttpFailure(
                failure_of_status(response.status),
                request.method + " of \"" + request.origin + request.path + "\" failed",
                "It was answered with status " + std::to_string(response.status) + ".");
        }
        return response;
    }

 private:
    const std::shared_ptr<HttpTransport> inner_;
};

}  // namespace

HttpResponse side_request(const HttpRequest& request, const std::string& ca_file) {
    const auto patience = std::make_shared<Patience>(kBudget);
    CurlOptions options;
    options.ca_file = ca_file;
    options.connect_timeout = kConnectTimeout;
    options.stall_timeout = kStallTimeout;
    options.max_connections = 1;
    const auto curl = std::make_shared<CurlTransport>(options, patience);
    RetryTransport retry(std::make_shared<ServerErrors>(curl), patience);
    return retry.perform(request);
}

}  // namespace ark
