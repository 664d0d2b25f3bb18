#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace ark::test {

/// A server on loopback whose every connection is served by `serve`, one after another: for answers
/// that no well-behaved server gives.
class ScriptedServer {
 public:
    /// One connection. What is not sent or read by the end is lost.
    class Connection {
     public:
        explicit Connection(int fd) : fd_(fd) {}
        /// A request's head and body; empty when the client has closed.
        std::string read_request() const {
            std::string text;
            while (text.find("\r\n\r\n") == std::string::npos) {
                if (!read_more(text))
                    return {};
            }
            const size_t head = text.find("\r\n\r\n") + 4;
            const size_t at = text.find("ontent-Length: ");
            const size_t length = at < head ? std::stoul(text.substr(at + 15)) : 0;
            while (text.size() < head + length && read_more(text)) {
            }
            return text;
        }
        void send(const std::string& text) const {
            static_cast<void>(!::send(fd_, text.data(), text.size(), MSG_NOSIGNAL));
        }
        /// The client sees "connection reset by peer".
        void reset() const {
            const linger now{1, 0};
            setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
        }

     private:
        bool read_more(std::string& text) const {
            char buffer[4096];
            const ssize_t n = ::read(fd_, buffer, sizeof(buffer));
            if (n > 0)
                text.append(buffer, static_cast<size_t>(n));
            return n > 0;
        }
        const int fd_;
    };

    explicit ScriptedServer(std::function<void(const Connection&)> serve)
        : serve_(std::move(serve)), listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof(address);
        if (bind(listener_, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
            listen(listener_, 16) != 0 ||
            getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) != 0)
            throw std::runtime_error("no port to listen on");
        port_ = ntohs(address.sin_port);
        thread_ = std::thread([this] { accept_all(); });
    }
    ~ScriptedServer() {
        shutdown(listener_, SHUT_RDWR);
        if (const int fd = serving_; fd >= 0)
            shutdown(fd, SHUT_RDWR);
        thread_.join();
        close(listener_);
    }
    ScriptedServer(const ScriptedServer&) = delete;
    ScriptedServer& operator=(const ScriptedServer&) = delete;

    std::string origin() const { return "http://127.0.0.1:" + std::to_string(port_); }
    int connections() const { return connections_; }

 private:
    void accept_all() {
        for (;;) {
            const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
            if (fd < 0)
                return;
            ++connections_;
            serving_ = fd;
            serve_(Connection(fd));
            serving_ = -1;
            close(fd);
        }
    }

    const std::function<void(const Connection&)> serve_;
    const int listener_;
    int port_ = 0;
    std::atomic<int> connections_ = 0;
    std::atomic<int> serving_ = -1;
    std::thread thread_;
};

}  // namespace ark::test
