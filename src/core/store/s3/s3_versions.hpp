#pragma once

#include "core/store/cloud/version_api.hpp"
#include "core/store/s3/s3_api.hpp"

namespace ark {

/// The versions of a bucket, as Amazon's API has them. Source: Amazon S3 API reference
/// (ListObjectVersions, GetBucketVersioning, GetObject).
class S3Versions final : public VersionApi {
 public:
    explicit S3Versions(S3Options options) : options_(std::move(options)) {}

    HttpRequest ask_state() override;
    bool keeps_versions(const HttpResponse& response) override;
    HttpRequest list(const std::string& prefix, bool delimited, const VersionPlace& after) override;
    VersionPage parse_list(const HttpResponse& response) override;
    HttpRequest get(const BlobVersion& version) override;

 private:
    HttpRequest request(const std::string& key) const;

    const S3Options options_;
};

}  // namespace ark
