#include "core/http/curl_transport.hpp"

#include <thread>

#include <gtest/gtest.h>

#include "core/base/cancellation.hpp"
#include "core/base/clock.hpp"
#include "core/http/failure.hpp"
#include "test/support/scripted_server.hpp"

namespace ark {
namespace {

using Connection = test::ScriptedServer::Connection;

struct CurlTransportTest : public testing::Test {
    static CurlOptions options() {
        CurlOptions out;
        out.connect_timeout = 2;
        out.stall_timeout = 1;
        return out;
    }
    static HttpRequest request(const std::string& method, const std::string& origin) {
        HttpRequest out;
        out.method = method;
        out.origin = origin;
        out.path = "/bucket/a b";
        out.changes_something = method != "GET";
        return out;
    }
    HttpFailure failure_of(const HttpRequest& request) {
        try {
            transport.perform(request);
        } catch (const HttpFailure& failure) {
            return failure;
        }
        ADD_FAILURE() << "no failure";
        return HttpFailure(Failure::local, "none");
    }
    /// What a server that sends `answer` to every request leads to.
    HttpFailure failure_by(const std::string& answer, const std::string& method = "GET") {
        test::ScriptedServer server([&](const Connection& connection) {
            connection.read_request();
            connection.send(answer);
        });
        return failure_of(request(method, server.origin()));
    }

    void TearDown() override { forget_cancellation(); }

    std::shared_ptr<Patience> patience = std::make_shared<Patience>(60, 0.2);
    CurlTransport transport{options(), patience};
};

TEST_F(CurlTransportTest, SendsAndReceives) {
    std::string seen;
    test::ScriptedServer server([&](const Connection& connection) {
        seen = connection.read_request();
        connection.send("HTTP/1.1 200 OK\r\nETag: \"x\"\r\nContent-Length: 5\r\n\r\nhello");
    });
    HttpRequest put = request("PUT", server.origin());
    put.body = as_bytes("the body");
    put.set_header("x-empty", "");
    put.query = {{"a", "1 2"}};
    const HttpResponse response = transport.perform(put);
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(as_text(response.body), "hello");
    EXPECT_EQ(response.header_or("etag", ""), "\"x\"");
    EXPECT_TRUE(seen.starts_with("PUT /bucket/a%20b?a=1%202 HTTP/1.1\r\n")) << seen;
    EXPECT_TRUE(seen.ends_with("\r\n\r\nthe body"));
    EXPECT_NE(seen.find("\r\nx-empty:"), std::string::npos);
    EXPECT_EQ(seen.find("Expect:"), std::string::npos);
    EXPECT_EQ(seen.find("Content-Type:"), std::string::npos);
    EXPECT_EQ(transport.counts().writes, 1U);
    EXPECT_EQ(transport.counts().bytes_sent, 8U);
    EXPECT_EQ(transport.counts().bytes_received, 5U);
}

TEST_F(CurlTransportTest, ConnectionsAreKept) {
    test::ScriptedServer server([&](const Connection& connection) {
        while (!connection.read_request().empty())
            connection.send("HTTP/1.1 204 No Content\r\n\r\n");
    });
    for (int i = 0; i < 5; ++i)
        transport.perform(request("DELETE", server.origin()));
    EXPECT_EQ(server.connections(), 1);
    EXPECT_EQ(transport.counts().deletes, 5U);
}

TEST_F(CurlTransportTest, IntoThePlaceOfTheCallerAndNoFurther) {
    test::ScriptedServer server([&](const Connection& connection) {
        connection.read_request();
        connection.send("HTTP/1.1 206 Partial\r\nContent-Length: 5\r\n\r\nhello");
    });
    std::string place = "........";
    HttpRequest get = request("GET", server.origin());
    get.into = std::as_writable_bytes(std::span(place.data(), 5));
    EXPECT_EQ(transport.perform(get).received, 5U);
    EXPECT_EQ(place, "hello...");
    get.into = std::as_writable_bytes(std::span(place.data(), 4));
    EXPECT_EQ(failure_of(get).failure, Failure::malformed);
    EXPECT_EQ(place, "hello...");
}

TEST_F(CurlTransportTest, AnErrorsBodyDoesNotGoIntoThePlaceOfTheObject) {
    test::ScriptedServer server([&](const Connection& connection) {
        connection.read_request();
        connection.send("HTTP/1.1 503 Slow\r\nContent-Length: 5\r\n\r\nERROR");
    });
    std::string place = "........";
    HttpRequest get = request("GET", server.origin());
    get.into = std::as_writable_bytes(std::span(place.data(), 8));
    EXPECT_EQ(as_text(transport.perform(get).body), "ERROR");
    EXPECT_EQ(place, "........");
}

TEST_F(CurlTransportTest, LongerThanTheLimit) {
    test::ScriptedServer server([&](const Connection& connection) {
        connection.read_request();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    });
    HttpRequest get = request("GET", server.origin());
    get.limit = 4;
    const HttpFailure failure = failure_of(get);
    EXPECT_EQ(failure.failure, Failure::too_long);
    EXPECT_EQ(failure.code, ErrorCode::corrupt);
    EXPECT_FALSE(failure.retryable);
}

TEST_F(CurlTransportTest, WhatGoesWrongHasItsClass) {
    EXPECT_EQ(failure_of(request("GET", "http://127.0.0.1:1")).failure, Failure::connect);
    EXPECT_EQ(failure_of(request("GET", "http://no-such-host.invalid")).failure,
              Failure::name_resolution);
    EXPECT_EQ(failure_by("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").failure,
              Failure::truncated);
    EXPECT_EQ(failure_by("").failure, Failure::reset);
    EXPECT_EQ(failure_by("SSH-2.0-OpenSSH\r\n").failure, Failure::malformed);
    test::ScriptedServer resets([&](const Connection& connection) {
        connection.read_request();
        connection.reset();
    });
    EXPECT_EQ(failure_of(request("GET", resets.origin())).failure, Failure::reset);
}

TEST_F(CurlTransportTest, PlainTextWhereTlsIsExpected) {
    test::ScriptedServer server(
        [&](const Connection& connection) { connection.send("HTTP/1.1 400 Bad\r\n\r\n"); });
    std::string origin = server.origin();
    origin.replace(0, 4, "https");
    EXPECT_EQ(failure_of(request("GET", origin)).failure, Failure::tls_handshake);
}

TEST_F(CurlTransportTest, ALostAnswerMayHaveBeenDoneARefusedConnectionNot) {
    EXPECT_TRUE(failure_by("", "PUT").maybe_done);
    EXPECT_FALSE(failure_by("", "GET").maybe_done);
    EXPECT_FALSE(failure_of(request("PUT", "http://127.0.0.1:1")).maybe_done);
}

TEST_F(CurlTransportTest, AServerThatFallsSilentIsLeft) {
    test::ScriptedServer server([&](const Connection& connection) {
        connection.read_request();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        connection.read_request();  // until the client goes
    });
    const int64_t began = monotonic_nanos();
    EXPECT_EQ(failure_of(request("GET", server.origin())).failure, Failure::stalled);
    EXPECT_LT(monotonic_nanos() - began, 15'000'000'000);
}

TEST_F(CurlTransportTest, SomeAnswersMayTakeLonger) {
    test::ScriptedServer server([](const Connection& connection) {
        connection.read_request();
        std::this_thread::sleep_for(std::chrono::milliseconds(3500));
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    HttpRequest finish = request("POST", server.origin());
    EXPECT_NE(failure_of(finish).failure, Failure::local);
    finish.quiet_seconds = 20;
    EXPECT_EQ(transport.perform(finish).status, 200);
}

TEST_F(CurlTransportTest, ACancellationEndsWhatIsUnderWay) {
    CurlOptions patient;
    patient.stall_timeout = 60;
    CurlTransport slow(patient, patience);
    test::ScriptedServer server([&](const Connection& connection) {
        connection.read_request();
        connection.read_request();
    });
    std::thread cancel([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
        request_cancellation();
    });
    const int64_t began = monotonic_nanos();
    try {
        slow.perform(request("PUT", server.origin()));
        ADD_FAILURE() << "no failure";
    } catch (const HttpFailure& failure) {
        EXPECT_EQ(failure.failure, Failure::cancelled);
        EXPECT_TRUE(failure.maybe_done);
    }
    cancel.join();
    EXPECT_LT(monotonic_nanos() - began, 5'000'000'000);
}

TEST_F(CurlTransportTest, ManyAtOnce) {
    test::ScriptedServer server([&](const Connection& connection) {
        connection.read_request();
        connection.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    });
    std::vector<std::thread> threads;
    std::atomic<int> good = 0;
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&] {
            for (int n = 0; n < 20; ++n)
                good += transport.perform(request("GET", server.origin())).status == 200 ? 1 : 0;
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(good, 160);
}

}  // namespace
}  // namespace ark
