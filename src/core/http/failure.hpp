#pragma once

#include <string>

#include "core/base/error.hpp"

namespace ark {

/// What can go wrong between us and a store. One table (failure.cpp) says of each whether trying
/// again helps, which code its Error has, and what to do.
enum class Failure {
    name_resolution,       ///< DNS
    connect,               ///< refused, unreachable, the proxy not there
    tls_handshake,         ///< broken off
    certificate,           ///< not to be trusted: never tried again, never accepted
    timeout,               ///< no connection or no answer in time
    stalled,               ///< bytes came, and then too few for too long
    reset,                 ///< the connection was lost before an answer
    truncated,             ///< the answer has fewer bytes than it said
    malformed,             ///< a success that is none: an HTML page, XML that is no answer
    throttled,             ///< 429, 503 SlowDown
    server_error,          ///< 500, 502, 503, 504
    conflict_in_progress,  ///< 409: another writer of the name is at work
    checksum_mismatch,     ///< the store got other bytes than we sent
    expired_credentials,   ///< tried again with fresh ones
    clock_skew,            ///< tried again by the store's clock
    other_region,          ///< tried again in the region that the store names
    access_denied,         ///< 401, 403
    no_such_bucket,        ///< the bucket or container is not there
    not_implemented,       ///< 501, or an argument that the store doesn't know
    too_long,              ///< the object is longer than the caller can take
    rejected,              ///< any other 4xx: the request is wrong
    cancelled,             ///< the caller's patience ended
    local,                 ///< our side: memory, curl itself
};

struct FailureRule {
    Failure failure;
    const char* name;  ///< for counters and messages
    bool retryable;
    ErrorCode code;
    const char* hint;
};

const FailureRule& rule_of(Failure failure) noexcept;

/// An Error that knows its class. `maybe_done`: the request may have been carried out.
struct HttpFailure : public Error {
    HttpFailure(Failure failure_in, std::string message_in, std::string detail_in = {},
                bool maybe_done_in = false);

    Failure failure;
    bool maybe_done;
    double retry_after = 0;  ///< seconds, from the answer; 0 when it named none
};

/// The class of an answer by its status alone; a store's own error codes come first.
Failure failure_of_status(int status) noexcept;

}  // namespace ark
