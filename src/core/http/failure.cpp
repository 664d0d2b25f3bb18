#include "core/http/failure.hpp"

#include <array>

namespace ark {

namespace {

constexpr const char* kReach = "Check the network, the endpoint and the store's own state.";
constexpr const char* kRights =
    "Check the credentials, and the rights that they have on the bucket and its prefix.";

constexpr std::array<FailureRule, 23> kRules{{
    {Failure::name_resolution, "name_resolution", true, ErrorCode::unavailable,
     "Check the endpoint in the repository's URL, and the host's name service."},
    {Failure::connect, "connect", true, ErrorCode::unavailable, kReach},
    {Failure::tls_handshake, "tls_handshake", true, ErrorCode::unavailable,
     "Check that the endpoint speaks TLS 1.2 or newer; for plain HTTP its URL begins with "
     "http://."},
    {Failure::certificate, "certificate", false, ErrorCode::permission_denied,
     "Name the certificate authority that signed it with ca_file= in the repository's URL, and the "
     "host by the name that the certificate has."},
    {Failure::timeout, "timeout", true, ErrorCode::timeout, kReach},
    {Failure::stalled, "stalled", true, ErrorCode::timeout, kReach},
    {Failure::reset, "reset", true, ErrorCode::unavailable, kReach},
    {Failure::truncated, "truncated", true, ErrorCode::unavailable,
     "Something between this host and the store cuts answers short."},
    {Failure::malformed, "malformed", true, ErrorCode::unavailable,
     "Something between this host and the store answers in its place: a proxy or a portal?"},
    {Failure::throttled, "throttled", true, ErrorCode::unavailable,
     "The store asks for fewer requests a second."},
    {Failure::server_error, "server_error", true, ErrorCode::unavailable, kReach},
    {Failure::conflict_in_progress, "conflict_in_progress", true, ErrorCode::unavailable, kReach},
    {Failure::checksum_mismatch, "checksum_mismatch", true, ErrorCode::unavailable,
     "Bytes change on their way to the store: check the network and this host's memory."},
    {Failure::expired_credentials, "expired_credentials", true, ErrorCode::permission_denied,
     kRights},
    {Failure::clock_skew, "clock_skew", true, ErrorCode::unavailable,
     "Set this host's clock; a time service keeps it right."},
    {Failure::other_region, "other_region", true, ErrorCode::invalid_argument,
     "Name the bucket's region with region= in the repository's URL."},
    {Failure::access_denied, "access_denied", false, ErrorCode::permission_denied, kRights},
    {Failure::no_such_bucket, "no_such_bucket", false, ErrorCode::unavailable,
     "Create it, or correct the repository's URL."},
    {Failure::not_implemented, "not_implemented", false, ErrorCode::unsupported,
     "The store lacks something that pg_ark needs."},
    {Failure::too_long, "too_long", false, ErrorCode::corrupt, ""},
    {Failure::rejected, "rejected", false, ErrorCode::io_error, ""},
    {Failure::cancelled, "cancelled", false, ErrorCode::cancelled, ""},
    {Failure::local, "local", false, ErrorCode::io_error, ""},
}};

constexpr bool is_in_order() {
    for (size_t i = 0; i < kRules.size(); ++i) {
        if (static_cast<size_t>(kRules[i].failure) != i)
            return false;
    }
    return true;
}
static_assert(is_in_order());

}  // namespace

const FailureRule& rule_of(Failure failure) noexcept {
    return kRules[static_cast<size_t>(failure)];
}

HttpFailure::HttpFailure(Failure failure_in, std::string message_in, std::string detail_in,
                         bool maybe_done_in)
    : Error(rule_of(failure_in).code, std::move(message_in), std::move(detail_in),
            rule_of(failure_in).hint),
      failure(failure_in),
      maybe_done(maybe_done_in) {
    retryable = rule_of(failure_in).retryable;
}

Failure failure_of_status(int status) noexcept {
    switch (status) {
        case 401:
        case 403:
            return Failure::access_denied;
        case 408:
            return Failure::timeout;
        case 409:
            return Failure::conflict_in_progress;
        case 429:
            return Failure::throttled;
        case 501:
            return Failure::not_implemented;
        default:
            return status >= 500 ? Failure::server_error : Failure::rejected;
    }
}

}  // namespace ark
