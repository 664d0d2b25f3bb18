#pragma once

#include "core/http/message.hpp"

namespace ark {

/// Sends one request and waits for its answer. Decorators (retry, signing) have the same shape, so
/// that each is one reason in one file. Thread-safe. Error: http/failure.hpp.
class HttpTransport {
 public:
    HttpTransport() = default;
    HttpTransport(const HttpTransport&) = delete;
    HttpTransport& operator=(const HttpTransport&) = delete;
    virtual ~HttpTransport() = default;

    virtual HttpResponse perform(const HttpRequest& request) = 0;
};

}  // namespace ark
