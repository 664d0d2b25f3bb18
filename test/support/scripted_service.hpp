#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "test/support/scripted_server.hpp"

namespace ark::test {

/// A service of tokens or metadata on loopback: every request is answered by `answer`, and kept.
class ScriptedService {
 public:
    struct Answer {
        int status = 200;
        std::string body;
        std::string headers;  ///< each ends with CR LF
    };

    explicit ScriptedService(std::function<Answer(const std::string& request)> answer)
        : answer_(std::move(answer)), server_([this](const ScriptedServer::Connection& connection) {
              const std::string request = connection.read_request();
              if (request.empty())
                  return;
              const Answer answer = answer_(request);
              const std::lock_guard lock(mutex_);
              requests_.push_back(request);
              connection.send("HTTP/1.1 " + std::to_string(answer.status) + " X\r\n" +
                              answer.headers +
                              "Content-Length: " + std::to_string(answer.body.size()) +
                              "\r\nConnection: close\r\n\r\n" + answer.body);
          }) {}

    std::string origin() const { return server_.origin(); }
    std::vector<std::string> requests() {
        const std::lock_guard lock(mutex_);
        return requests_;
    }

 private:
    const std::function<Answer(const std::string&)> answer_;
    std::mutex mutex_;
    std::vector<std::string> requests_;
    ScriptedServer server_;  // the last: its thread uses the others
};

}  // namespace ark::test
