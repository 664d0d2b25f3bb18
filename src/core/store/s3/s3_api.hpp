#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "core/store/cloud/blob_api.hpp"
#include "core/store/store_url.hpp"

namespace ark {

/// What differs between Amazon's API and Google's XML API.
struct S3Flavor {
    const char* header_prefix;  ///< "x-amz-" or "x-goog-"
    /// The header that makes a put fail where the name is taken, and its value.
    const char* absent_header;
    const char* absent_value;
    /// Whether finishing a multipart upload may carry it (Google: not).
    bool absent_on_finish;
    /// The header of an upload's CRC-32C, and what stands before its base64.
    const char* crc32c_header;
    const char* crc32c_prefix;
    /// Whether an upload in parts announces the checksums of its parts, and repeats them when it is
    /// finished. Elsewhere each part is verified by itself.
    bool announces_checksums;
    /// How long the store may work at the end of an upload in parts before it says a word.
    double finish_seconds;
};
inline constexpr S3Flavor kAmazonFlavor{
    "x-amz-", "if-none-match", "*", true, "x-amz-checksum-crc32c", "", true, 0};
inline constexpr S3Flavor kGoogleFlavor{
    "x-goog-", "x-goog-if-generation-match", "0", false, "x-goog-hash", "crc32c=", false, 300};

struct S3Options {
    std::string origin;     ///< "https://bucket.s3.eu-west-1.amazonaws.com"
    std::string base_path;  ///< "/" or "/bucket/"
    bool create_if_absent = true;
    /// Headers of each new object: storage class, encryption by the store.
    HeaderList object_headers;
    HeaderList request_headers;  ///< of each request: who pays
};

/// The S3 REST API. Sources: Amazon S3 API reference; Google Cloud Storage XML API reference.
class S3Api final : public BlobApi {
 public:
    S3Api(S3Options options, const S3Flavor& flavor);

    HttpRequest put(const std::string& key, ByteView content, const std::string& token) override;
    void note_upload(const HttpResponse& response) override;
    HttpRequest get(const std::string& key) override;
    HttpRequest head(const std::string& key) override;
    HttpRequest remove(const std::string& key) override;
    HttpRequest list(const std::string& prefix, bool delimited, const std::string& from) override;
    BlobPage parse_list(const HttpResponse& response) override;
    std::optional<HttpRequest> begin_upload(const std::string& key,
                                            const std::string& token) override;
    std::string upload_id(const HttpResponse& response) override;
    HttpRequest put_part(const std::string& key, const std::string& id, BlobPart& part,
                         ByteView content) override;
    void take_part(const HttpResponse& response, BlobPart& part) override;
    HttpRequest finish_upload(const std::string& key, const std::string& id,
                              const std::vector<BlobPart>& parts, const std::string& token,
                              std::string& body) override;
    std::optional<HttpRequest> abort_upload(const std::string& key, const std::string& id) override;
    HttpRequest list_uploads(const std::string& prefix, const std::string& from) override;
    std::vector<OpenUpload> parse_uploads(const HttpResponse& response, std::string& next) override;
    std::string token_of(const HttpResponse& response) override;

 private:
    HttpRequest request(const char* method, const std::string& key) const;
    void add_checksum(HttpRequest& request, const std::string& crc32c, ByteView content) const;
    void add_condition(HttpRequest& request) const;

    const S3Options options_;
    const S3Flavor& flavor_;
    /// Whether the store verifies CRC-32C: known once an answer has repeated ours. Until then, and
    /// where it doesn't, Content-MD5 goes along, which every store verifies and which costs more.
    std::atomic<bool> verifies_crc32c_ = false;
};

}  // namespace ark
