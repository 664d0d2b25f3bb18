#include "core/store/gs/google_store.hpp"

#include <vector>

#include "core/store/cloud/cloud_store.hpp"
#include "core/store/cloud/connection.hpp"
#include "core/store/gs/google_signer.hpp"
#include "core/store/s3/s3_api.hpp"
#include "core/store/s3/s3_transport.hpp"

namespace ark {

namespace {

const std::vector<std::string> kOptions{"endpoint",      "credentials_file", "ca_file",
                                        "storage_class", "kms_key",          "user_project"};
constexpr const char* kGoogle = "https://storage.googleapis.com";
// Signatures name a place, which Google does not compare with the bucket's.
constexpr const char* kAnyPlace = "auto";

void add(HeaderList& headers, const char* name, const std::string& value) {
    if (!value.empty())
        headers.emplace_back(name, value);
}

}  // namespace

std::unique_ptr<ObjectStore> make_google_store(const std::string& url_text,
                                               const StoreOptions& options) {
    const StoreUrl url = parse_store_url(url_text, kOptions);
    S3Options api;
    api.origin = check_endpoint(url.option("endpoint", kGoogle));
    api.base_path = "/" + url.bucket + "/";
    add(api.object_headers, "x-goog-storage-class", url.option("storage_class"));
    add(api.object_headers, "x-goog-encryption-kms-key-name", url.option("kms_key"));
    add(api.request_headers, "x-goog-user-project", url.option("user_project"));

    const std::string ca_file = url.option("ca_file");
    Connection connection = connect(ca_file, options);
    const auto signing = std::make_shared<S3Transport>(
        connection.transport,
        std::make_shared<GoogleSigner>(
            GoogleCredentialOptions{url.option("credentials_file"), ca_file}),
        S3Endpoint{kAnyPlace, [origin = api.origin](const std::string&) { return origin; }});
    return make_cloud_store(connection.parts(url, std::make_unique<S3Api>(api, kGoogleFlavor),
                                             signing, [signing] { return signing->clock_skew(); }),
                            CloudOptions{});
}

}  // namespace ark
