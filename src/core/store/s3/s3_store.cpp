#include "core/store/s3/s3_store.hpp"

#include <algorithm>

#include "core/base/environment.hpp"
#include "core/base/error.hpp"
#include "core/http/retry_transport.hpp"
#include "core/store/cloud/as_of_store.hpp"
#include "core/store/cloud/cloud_store.hpp"
#include "core/store/cloud/connection.hpp"
#include "core/store/s3/s3_api.hpp"
#include "core/store/s3/s3_transport.hpp"
#include "core/store/s3/s3_versions.hpp"

namespace ark {

namespace {

const std::vector<std::string> kOptions{
    "region",  "endpoint",      "path_style", "profile",        "credentials_file",
    "ca_file", "storage_class", "sse",        "sse_kms_key_id", "create_if_absent"};

Error bad_option(const std::string& name, const std::string& why) {
    return {ErrorCode::invalid_argument, "invalid repository URL",
            "Its option \"" + name + "\" " + why + "."};
}

struct Place {
    std::string endpoint;  ///< "https://host:port"; empty: Amazon's own
    std::string bucket;
    bool path_style = false;

    std::string origin(const std::string& region) const {
        if (endpoint.empty()) {
            const bool china = region.starts_with("cn-");
            const std::string host = "s3." + region + ".amazonaws.com" + (china ? ".cn" : "");
            return "https://" + (path_style ? host : bucket + "." + host);
        }
        if (path_style)
            return endpoint;
        const size_t host = endpoint.find("://") + 3;
        return endpoint.substr(0, host) + bucket + "." + endpoint.substr(host);
    }
};

Place place_of(const StoreUrl& url) {
    Place place;
    place.bucket = url.bucket;
    for (const char* variable : {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"}) {
        if (place.endpoint.empty())
            place.endpoint = environment(variable);
    }
    place.endpoint = check_endpoint(url.option("endpoint", place.endpoint));
    // A certificate for *.s3.… does not hold for a bucket with dots in its name.
    const bool dots = url.bucket.find('.') != std::string::npos;
    place.path_style = url.flag("path_style", !place.endpoint.empty() || dots);
    return place;
}

HeaderList object_headers(const StoreUrl& url) {
    HeaderList headers;
    if (const std::string name = url.option("storage_class"); !name.empty())
        headers.emplace_back("x-amz-storage-class", name);
    const std::string sse = url.option("sse");
    if (!sse.empty()) {
        if (sse != "AES256" && sse != "aws:kms" && sse != "aws:kms:dsse")
            throw bad_option("sse", "is none of AES256, aws:kms, aws:kms:dsse");
        headers.emplace_back("x-amz-server-side-encryption", sse);
    }
    if (const std::string key = url.option("sse_kms_key_id"); !key.empty()) {
        if (!sse.starts_with("aws:kms"))
            throw bad_option("sse_kms_key_id", "needs sse=aws:kms");
        headers.emplace_back("x-amz-server-side-encryption-aws-kms-key-id", key);
    }
    return headers;
}

}  // namespace

std::unique_ptr<ObjectStore> make_s3_store(const std::string& url_text,
                                           const StoreOptions& options) {
    const StoreUrl url = parse_store_url(url_text, kOptions);
    const Place place = place_of(url);
    CredentialOptions who{url.option("profile"),
                          url.option("credentials_file"),
                          {},
                          url.option("ca_file", environment("AWS_CA_BUNDLE"))};
    who.region = url.option("region", find_region(who));
    const std::string region = who.region.empty() ? "us-east-1" : who.region;

    S3Options api;
    api.origin = place.origin(region);
    api.base_path = place.path_style ? "/" + place.bucket + "/" : "/";
    api.create_if_absent = url.flag("create_if_absent", true);
    api.object_headers = object_headers(url);

    Connection connection = connect(who.ca_file, options);
    const auto credentials =
        std::make_shared<CredentialCache>([who] { return find_credentials(who); });
    const auto signing = std::make_shared<S3Transport>(
        connection.transport, std::make_shared<KeySigner>(credentials, kAwsS3Style),
        S3Endpoint{region, [place](const std::string& of) { return place.origin(of); }});

    CloudParts parts = connection.parts(url, std::make_unique<S3Api>(api, kAmazonFlavor), signing,
                                        [signing] { return signing->clock_skew(); });
    if (options.as_of) {
        return make_as_of_store(std::move(parts), std::make_unique<S3Versions>(api),
                                *options.as_of);
    }
    CloudOptions cloud;
    cloud.create_if_absent = api.create_if_absent;
    return make_cloud_store(std::move(parts), cloud);
}

}  // namespace ark
