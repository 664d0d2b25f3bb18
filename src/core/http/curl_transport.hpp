#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>

#include "core/http/patience.hpp"
#include "core/http/transport.hpp"

namespace ark {

struct CurlOptions {
    std::string ca_file;          ///< certificate authorities to trust instead of the system's
    double connect_timeout = 10;  ///< seconds to a connection, TLS included
    double stall_timeout = 30;    ///< seconds in which not a byte moves
    int max_connections = 16;
};

/// What went over the wire: the user's bill.
struct HttpCounts {
    std::atomic<uint64_t> reads = 0;    ///< GET and HEAD
    std::atomic<uint64_t> writes = 0;   ///< PUT, POST (a listing is a read that is billed as these)
    std::atomic<uint64_t> deletes = 0;  ///< free of charge with every vendor
    std::atomic<uint64_t> bytes_sent = 0;
    std::atomic<uint64_t> bytes_received = 0;
};

/// libcurl's multi interface in a thread of its own: connections are kept and shared by all
/// callers, HTTP/2 where the server offers it, TLS 1.2 or newer and always verified, proxies by
/// curl's environment variables. Redirects are not followed: a signature is for one host.
class CurlTransport final : public HttpTransport {
 public:
    CurlTransport(CurlOptions options, std::shared_ptr<Patience> patience);
    ~CurlTransport() override;

    /// Blocks. Error: HttpFailure for everything below HTTP; any status is an answer.
    HttpResponse perform(const HttpRequest& request) override;

    const HttpCounts& counts() const;

 private:
    class Loop;
    std::unique_ptr<Loop> loop_;
};

}  // namespace ark
