#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/http/failure.hpp"
#include "core/http/transport.hpp"
#include "core/store/cloud/cloud_store.hpp"
#include "test/fuzz/target.hpp"

namespace ark::fuzz {

constexpr char kNextAnswer = '\x1E';

/// An answer as an input has it: status, headers, an empty line, the body.
inline HttpResponse parse_answer(const std::string& text) {
    Input input(as_bytes(text));
    HttpResponse out;
    for (const char c : input.take_text('\n').substr(0, 3))
        out.status = out.status * 10 + (c >= '0' && c <= '9' ? c - '0' : 0);
    for (std::string line = input.take_text('\n'); !line.empty(); line = input.take_text('\n')) {
        const size_t colon = std::min(line.find(": "), line.size());
        out.headers.emplace_back(line.substr(0, colon),
                                 line.substr(std::min(colon + 2, line.size())));
    }
    out.body.assign(input.rest().begin(), input.rest().end());
    out.received = out.body.size();
    return out;
}

/// Answers each request with what the input has next, by libcurl's rules: no body is longer than
/// there is room for.
class InputTransport final : public HttpTransport {
 public:
    explicit InputTransport(ByteView input) : input_(input) {}

    HttpResponse perform(const HttpRequest& request) override {
        if (input_.empty())
            throw HttpFailure(Failure::cancelled, "the input ends");
        HttpResponse answer = parse_answer(input_.take_text(kNextAnswer));
        if (request.method == "HEAD")
            answer.body.clear();
        if (answer.ok() && request.into) {
            if (answer.body.size() > request.into->size())
                throw HttpFailure(Failure::too_long, "too long");
            std::ranges::copy(answer.body, request.into->begin());
            answer.received = answer.body.size();
            answer.body.clear();
        }
        if (answer.body.size() > request.limit)
            throw HttpFailure(Failure::too_long, "too long");
        return answer;
    }

 private:
    Input input_;
};

using MakeStore = std::function<std::unique_ptr<ObjectStore>(std::shared_ptr<HttpTransport>)>;

/// A store of this kind, one operation after the other until the answers are used up. The first
/// byte says which is the first.
inline void use_store(ByteView bytes, const MakeStore& make) {
    Input input(bytes);
    const auto first = input.take<uint8_t>();
    const auto store = make(std::make_shared<InputTransport>(input.rest()));
    Bytes buffer(64);
    const std::string name = "a/b";
    const std::vector<std::function<void()>> operations{
        [&] { store->list("a", [](const ObjectInfo& o) { return o.name.starts_with("a/"); }); },
        [&] { store->list_parts("a"); },
        [&] { store->list("", [](const ObjectInfo&) { return true; }); },
        [&] { store->get(name, 1000); },
        [&] { require(store->get_range(name, 10, buffer) <= buffer.size(), "it has room"); },
        [&] { store->head(name); },
        [&] { store->put_if_absent(name, as_bytes("content")); },
        [&] { store->remove(name); },
        [&] { store->remove_temporaries("a", 1795140900123456); },
        [&] {
            const auto upload = store->start_upload(name);
            upload->write(Bytes(50));
            upload->finish();
        },
    };
    for (size_t i = 0; i < operations.size(); ++i)
        answers([&] {
            operations[(first + i) % operations.size()]();
            return 0;
        });
    static_cast<void>(store->clock_skew());
}

inline CloudOptions small_parts() {
    CloudOptions options;
    options.part_bytes = 16;
    options.part_threads = 1;
    return options;
}
inline CloudParts parts_of(std::unique_ptr<BlobApi> api, std::shared_ptr<HttpTransport> transport,
                           std::function<int64_t()> clock_skew) {
    StoreUrl url;
    url.text = "s3://bucket/p";
    url.scheme = "s3";
    url.bucket = "bucket";
    url.prefix = "p";
    return {url, std::move(api), std::move(transport), [] { return StoreTraffic{}; },
            std::move(clock_skew)};
}

/// The operation that begins, and its answers.
inline Bytes script(uint8_t first, const std::vector<std::string>& answers) {
    Bytes out{std::byte{first}};
    for (const std::string& answer : answers) {
        append(out, as_bytes(answer));
        out.push_back(static_cast<std::byte>(kNextAnswer));
    }
    return out;
}

}  // namespace ark::fuzz
