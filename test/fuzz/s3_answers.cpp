#include "core/store/cloud/as_of_store.hpp"
#include "core/store/s3/s3_api.hpp"
#include "core/store/s3/s3_transport.hpp"
#include "core/store/s3/s3_versions.hpp"
#include "test/fuzz/cloud_answers.hpp"

namespace ark::fuzz {
namespace {

class NoSigner final : public RequestSigner {
 public:
    void sign(HttpRequest& /*request*/, const std::string& /*region*/, int64_t /*now*/) override {}
    void invalidate() override {}
};

std::unique_ptr<ObjectStore> make_store(std::shared_ptr<HttpTransport> inner,
                                        const S3Flavor& flavor) {
    const auto transport = std::make_shared<S3Transport>(
        std::move(inner), std::make_shared<NoSigner>(),
        S3Endpoint{"eu-west-1", [](const std::string&) { return "https://host"; }});
    return make_cloud_store(
        parts_of(std::make_unique<S3Api>(S3Options{"https://host", "/bucket/"}, flavor), transport,
                 [transport] { return transport->clock_skew(); }),
        small_parts());
}

const std::string kList =
    "200\netag: \"a\"\ndate: Sat, 21 Nov 2026 18:00:00 GMT\n\n"
    "<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>true</IsTruncated>"
    "<NextContinuationToken>t</NextContinuationToken><Contents><Key>p/a/b</Key>"
    "<LastModified>2026-11-20T02:15:00.000Z</LastModified><Size>7</Size></Contents>"
    "<CommonPrefixes><Prefix>p/a/c/</Prefix></CommonPrefixes></ListBucketResult>";
const std::string kLastList = "200\n\n<ListBucketResult/>";
const std::string kError =
    "403\nx-amz-request-id: 1\nretry-after: 3\n\n<Error><Code>RequestTimeTooSkewed</Code>"
    "<Message>m</Message><Region>eu-west-2</Region></Error>";
const std::string kUploads =
    "200\n\n<ListMultipartUploadsResult><IsTruncated>true</IsTruncated>"
    "<NextKeyMarker>k</NextKeyMarker><NextUploadIdMarker>u</NextUploadIdMarker><Upload>"
    "<Key>p/a/b</Key><UploadId>u</UploadId><Initiated>2026-11-20T02:15:00.000Z</Initiated>"
    "</Upload></ListMultipartUploadsResult>";

std::vector<Bytes> seeds() {
    const std::string part = "200\netag: \"x\"\n\n";
    return {
        script(0, {kList, kLastList}),
        script(1, {kList, kLastList}),
        script(3, {"200\netag: \"a\"\ncontent-length: 3\n\nabc"}),
        script(4, {"206\netag: \"a\"\ncontent-length: 3\ncontent-range: bytes 10-12/13\n\nabc"}),
        script(5, {"200\netag: \"a\"\ncontent-length: 3\nlast-modified: Sat, 21 Nov 2026 18:00:00 "
                   "GMT\n\n",
                   "404\n\n", "404\n\n<Error><Code>NoSuchKey</Code></Error>"}),
        script(6, {"412\n\n<Error><Code>PreconditionFailed</Code></Error>",
                   "200\netag: \"a\"\nx-amz-meta-pg-ark-token: t\n\n"}),
        script(8, {kUploads, "204\n\n", kError}),
        script(9, {"200\nx-amz-checksum-algorithm: CRC32C\n\n<InitiateMultipartUploadResult>"
                   "<UploadId>u</UploadId></InitiateMultipartUploadResult>",
                   part, part, part, part, "200\n\n<CompleteMultipartUploadResult/>"}),
        script(3, {kError, kError}),
    };
}

void run_amazon(ByteView input) {
    use_store(input, [](auto inner) { return make_store(std::move(inner), kAmazonFlavor); });
}
void run_google(ByteView input) {
    use_store(input, [](auto inner) { return make_store(std::move(inner), kGoogleFlavor); });
}

// As the bucket was at a moment.
std::vector<Bytes> version_seeds() {
    const std::string state =
        "200\n\n<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    const std::string list =
        "200\n\n<ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>p/a/b"
        "</NextKeyMarker><NextVersionIdMarker>v</NextVersionIdMarker><Version><Key>p/a/b</Key>"
        "<VersionId>v</VersionId><IsLatest>true</IsLatest><LastModified>2026-11-20T02:15:00.000Z"
        "</LastModified><Size>3</Size></Version><DeleteMarker><Key>p/a/c</Key><VersionId>w"
        "</VersionId><LastModified>2026-11-20T02:15:00.000Z</LastModified></DeleteMarker>"
        "</ListVersionsResult>";
    const std::string last = "200\n\n<ListVersionsResult/>";
    return {script(0, {state, list, last}), script(1, {state, list, last}),
            script(3, {state, list, "200\netag: \"a\"\ncontent-length: 3\n\nabc"}),
            script(5, {state, list, last})};
}
std::unique_ptr<ObjectStore> make_past(std::shared_ptr<HttpTransport> inner) {
    constexpr UnixMicros kMoment = 1795140900123456;
    const S3Options options{"https://host", "/bucket/"};
    const auto transport = std::make_shared<S3Transport>(
        std::move(inner), std::make_shared<NoSigner>(),
        S3Endpoint{"eu-west-1", [](const std::string&) { return "https://host"; }});
    return make_as_of_store(parts_of(std::make_unique<S3Api>(options, kAmazonFlavor), transport,
                                     [transport] { return transport->clock_skew(); }),
                            std::make_unique<S3Versions>(options), kMoment);
}
void run_past(ByteView input) {
    use_store(input, [](auto inner) { return make_past(std::move(inner)); });
}

const Target amazon("s3_answers", seeds, run_amazon);
const Target google("gs_answers", seeds, run_google);
const Target past("s3_version_answers", version_seeds, run_past);

}  // namespace
}  // namespace ark::fuzz
