#pragma once

#include <deque>
#include <functional>
#include <vector>

#include "core/http/transport.hpp"

namespace ark::test {

/// Answers requests from a list, in turn, and keeps what it was asked.
class ScriptedTransport : public HttpTransport {
 public:
    using Step = std::function<HttpResponse(const HttpRequest&)>;

    HttpResponse perform(const HttpRequest& request) override {
        requests.push_back(request);
        if (steps.empty())
            throw std::runtime_error("nobody expected " + request.method + " " + request.path);
        const Step step = steps.front();
        steps.pop_front();
        return step(request);
    }

    void answer(int status, std::string_view body = {}, HeaderList headers = {}) {
        steps.emplace_back([=, text = std::string(body)](const HttpRequest&) {
            HttpResponse response;
            response.status = status;
            response.headers = headers;
            response.body.assign(as_bytes(text).begin(), as_bytes(text).end());
            response.received = text.size();
            return response;
        });
    }
    template <typename Exception>
    void fail(Exception exception) {
        steps.emplace_back([=](const HttpRequest&) -> HttpResponse { throw exception; });
    }

    std::deque<Step> steps;
    std::vector<HttpRequest> requests;
};

}  // namespace ark::test
