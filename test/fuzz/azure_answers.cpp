#include "core/store/azure/azure_api.hpp"
#include "core/store/azure/azure_transport.hpp"
#include "test/fuzz/cloud_answers.hpp"

namespace ark::fuzz {
namespace {

std::unique_ptr<ObjectStore> make_store(std::shared_ptr<HttpTransport> inner) {
    const auto credentials = std::make_shared<AzureCredentialCache>([] {
        AzureCredentials out;
        out.sas = {{"sig", "x"}};
        return out;
    });
    const auto transport =
        std::make_shared<AzureTransport>(std::move(inner), credentials, "account");
    return make_cloud_store(
        parts_of(std::make_unique<AzureApi>(AzureOptions{"https://host", "/bucket"}), transport,
                 [transport] { return transport->clock_skew(); }),
        small_parts());
}

std::vector<Bytes> seeds() {
    const std::string list =
        "200\ndate: Sat, 21 Nov 2026 18:00:00 GMT\n\n<?xml version=\"1.0\"?><EnumerationResults>"
        "<Blobs><Blob><Name>p/a/b</Name><Properties><Last-Modified>Sat, 21 Nov 2026 18:00:00 GMT"
        "</Last-Modified><Content-Length>0</Content-Length></Properties></Blob><BlobPrefix>"
        "<Name>p/a/c/</Name></BlobPrefix></Blobs><NextMarker>m</NextMarker></EnumerationResults>";
    const std::string last = "200\n\n<EnumerationResults><NextMarker/></EnumerationResults>";
    const std::string created = "201\netag: \"a\"\n\n";
    const std::string refused =
        "403\nx-ms-error-code: AuthenticationFailed\nx-ms-request-id: 1\n\n"
        "<Error><Code>AuthenticationFailed</Code><Message>m\nTime:t</Message></Error>";
    return {
        script(0, {list, last}),
        script(1, {list, last}),
        script(4, {"206\netag: \"a\"\ncontent-length: 3\ncontent-range: bytes 10-12/13\n\nabc"}),
        script(4, {"206\netag: \"a\"\ncontent-range: bytes 10-9/10\n\n"}),
        script(5, {"200\netag: \"a\"\ncontent-length: 3\nx-ms-meta-pgarktoken: t\n\n"}),
        script(6, {"409\nx-ms-error-code: BlobAlreadyExists\n\n", "200\netag: \"a\"\n\n"}),
        script(7, {"202\n\n"}),
        script(8, {list, created, "202\n\n", last}),
        script(9, {created, created, created, created, created}),
        script(3, {refused, refused}),
    };
}

void run(ByteView input) {
    use_store(input, [](auto inner) { return make_store(std::move(inner)); });
}

const Target target("azure_answers", seeds, run);

}  // namespace
}  // namespace ark::fuzz
