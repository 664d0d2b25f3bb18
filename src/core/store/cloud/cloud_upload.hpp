#pragma once

#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/http/transport.hpp"
#include "core/store/cloud/blob_api.hpp"
#include "core/store/cloud/cloud_store.hpp"
#include "core/store/cloud/part_threads.hpp"

namespace ark {

/// 16 random bytes in hexadecimal.
std::string random_token();

/// What an upload needs of its store.
struct UploadContext {
    BlobApi& api;
    HttpTransport& transport;
    PartThreads& threads;
    const CloudOptions& options;
    /// Puts a whole object in one request.
    std::function<PutResult(const std::string& key, ByteView content, const std::string& token)>
        put;
    /// The token in an object's metadata; nullopt when there is no object.
    std::function<std::optional<std::string>(const std::string& key)> token_at;
};

/// An object in parts, which are sent while the next one is filled. One that fits into a single
/// part is put in one request. Nothing is visible before finish; a cancelled one is aborted in the
/// store, and one that was killed is found by remove_temporaries.
class CloudUpload final : public Upload {
 public:
    CloudUpload(UploadContext context, std::string key);
    ~CloudUpload() override { cancel(); }

    void write(ByteView bytes) override;
    PutResult finish() override;
    void cancel() noexcept override;

 private:
    void begin();
    void send_part();
    void upload_part(int number, Bytes content) noexcept;
    void wait_for_parts(size_t at_most);
    PutResult commit();
    void forget() noexcept;
    size_t part_bytes() const;

    UploadContext context_;
    const std::string key_;
    const std::string token_;
    std::optional<std::string> id_;  ///< once begun
    Bytes buffer_;
    bool ended_ = false;

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<BlobPart> parts_;  ///< under the lock
    std::vector<Bytes> spare_;     ///< under the lock: buffers to be filled again
    size_t in_flight_ = 0;         ///< under the lock
    bool dead_ = false;            ///< under the lock: what is queued is not sent any more
    std::exception_ptr error_;     ///< under the lock: the first
};

}  // namespace ark
