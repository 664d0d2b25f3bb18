#include "core/http/body_check.hpp"
#include "core/http/message.hpp"
#include "core/store/cloud/bearer_token.hpp"
#include "core/store/local.hpp"
#include "core/store/store_url.hpp"
#include "test/fuzz/target.hpp"

namespace ark::fuzz {
namespace {

std::vector<Bytes> seeds() {
    return seeds_of({"s3://bucket/a/b?region=eu-west-1&path_style=on", "file:///srv/ark%20x",
                     "file://localhost/srv", "https://host:8080/a%2Fb?c=d&e", "bytes 0-9/100",
                     "http://[::1]:80/"});
}

void run(ByteView input) {
    const std::string text(as_text(input));
    answers([&] {
        const StoreUrl url = parse_store_url(text, {"region", "path_style"});
        require(!url.bucket.empty(), "a bucket has a name");
        return url.flag("path_style", false);
    });
    answers([&] {
        const auto path = local_store_path(text);
        require(!path || path->starts_with('/'), "a path is absolute");
    });
    answers([&] {
        const HttpRequest request = parse_url("GET", text);
        require(request.path.starts_with('/') || !request.path.empty(), "a path is not empty");
        static_cast<void>(host_header(request.origin));
        static_cast<void>(url_of(request));
    });
    answers([&] { check_token_url(text); });
    static_cast<void>(parse_content_range(text));
    if (const auto decoded = percent_decode(text))
        require(percent_decode(percent_encode(*decoded, false)) == decoded, "text survives");
}

const Target target("urls", seeds, run);

}  // namespace
}  // namespace ark::fuzz
