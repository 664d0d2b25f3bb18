#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/http/message.hpp"
#include "core/store/object_store.hpp"

namespace ark {

/// One page of a listing. Keys are whole, prefix included.
struct BlobPage {
    std::vector<ObjectInfo> objects;
    std::vector<std::string> directories;  ///< common prefixes, with the slash at the end
    std::string next;                      ///< where the next page goes on; empty on the last
};

/// A multipart upload that was begun and not ended.
struct OpenUpload {
    std::string key;
    std::string id;
    UnixMicros started = 0;
};

/// What went into a multipart upload.
struct BlobPart {
    int number = 0;        ///< from 1
    std::string tag;       ///< what the store answered, or the name that we gave it
    std::string checksum;  ///< as sent, where the store wants it again
};

/// How one vendor says the things that a store does: requests without credentials, and what the
/// answers mean. The transport below has thrown for everything that is an error; what it hands on
/// is success, "not there" (404), "exists already" (412 or 409) and "no such range" (416).
/// Thread-safe.
class BlobApi {
 public:
    BlobApi() = default;
    BlobApi(const BlobApi&) = delete;
    BlobApi& operator=(const BlobApi&) = delete;
    virtual ~BlobApi() = default;

    /// Creates the object if the name is free. `token` goes into its metadata, so that a writer
    /// whose answer was lost knows his own object again.
    virtual HttpRequest put(const std::string& key, ByteView content, const std::string& token) = 0;
    /// Looks at the answer to a successful put, or part: what the store verified.
    virtual void note_upload(const HttpResponse& /*response*/) {}
    virtual HttpRequest get(const std::string& key) = 0;
    virtual HttpRequest head(const std::string& key) = 0;
    virtual HttpRequest remove(const std::string& key) = 0;
    /// `delimited`: names up to the next slash only.
    virtual HttpRequest list(const std::string& prefix, bool delimited,
                             const std::string& from) = 0;
    virtual BlobPage parse_list(const HttpResponse& response) = 0;

    /// nullopt where a vendor's parts need no beginning: the upload's id is its token then.
    virtual std::optional<HttpRequest> begin_upload(const std::string& key,
                                                    const std::string& token) = 0;
    virtual std::string upload_id(const HttpResponse& response) = 0;
    virtual HttpRequest put_part(const std::string& key, const std::string& id, BlobPart& part,
                                 ByteView content) = 0;
    virtual void take_part(const HttpResponse& response, BlobPart& part) = 0;
    /// The body is kept in `body` until the answer is there.
    virtual HttpRequest finish_upload(const std::string& key, const std::string& id,
                                      const std::vector<BlobPart>& parts, const std::string& token,
                                      std::string& body) = 0;
    /// nullopt where nothing but the commit ends an upload.
    virtual std::optional<HttpRequest> abort_upload(const std::string& key,
                                                    const std::string& id) = 0;
    virtual HttpRequest list_uploads(const std::string& prefix, const std::string& from) = 0;
    virtual std::vector<OpenUpload> parse_uploads(const HttpResponse& response,
                                                  std::string& next) = 0;

    using Perform = std::function<HttpResponse(const HttpRequest&)>;
    /// Removes the parts of an upload whose writer is gone; false where there was nothing to
    /// remove. Never touches an object that has been finished.
    virtual bool sweep_upload(const OpenUpload& upload, const Perform& perform) {
        const std::optional<HttpRequest> request = abort_upload(upload.key, upload.id);
        if (request)
            perform(*request);
        return request.has_value();
    }

    /// The token in an object's metadata, empty when it has none.
    virtual std::string token_of(const HttpResponse& response) = 0;
};

}  // namespace ark
