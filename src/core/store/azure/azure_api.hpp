#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/store/cloud/blob_api.hpp"

namespace ark {

struct AzureOptions {
    std::string origin;     ///< "https://account.blob.core.windows.net"
    std::string base_path;  ///< "/container", "/account/container" where the host names no account
    bool create_if_absent = true;
    /// Headers of each new blob: its access tier.
    HeaderList blob_headers;
};

/// The REST API of Azure Blob Storage, block blobs. An upload in blocks has no beginning and no end
/// but its commit: blocks that nobody commits are invisible, and removed by Azure after a week, or
/// by sweep_upload. Source: Microsoft, "Blob Storage REST API".
class AzureApi final : public BlobApi {
 public:
    explicit AzureApi(AzureOptions options);

    HttpRequest put(const std::string& key, ByteView content, const std::string& token) override;
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
    bool sweep_upload(const OpenUpload& upload, const Perform& perform) override;
    std::string token_of(const HttpResponse& response) override;

 private:
    HttpRequest request(const char* method, const std::string& key) const;
    HttpRequest list_request(const std::string& prefix, const std::string& from) const;
    HttpRequest new_blob(const std::string& key, ByteView body, const std::string& token,
                         bool if_absent) const;
    HttpRequest commit(const std::string& key, const std::vector<BlobPart>& parts,
                       const std::string& token, bool if_absent, std::string& body) const;

    const AzureOptions options_;
};

}  // namespace ark
