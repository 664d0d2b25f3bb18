#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "core/http/transport.hpp"
#include "core/store/cloud/version_api.hpp"

namespace ark {

/// What a bucket that keeps versions held at a moment of its own clock: of each key the newest
/// version that is not younger, unless it says that the object was deleted. Where two of one key
/// have the same time the one that the store lists first counts, which is the later.
///
/// The past does not change: what was learnt is kept. Thread-safe. Errors: what the store throws;
/// refused where the bucket keeps no versions.
class VersionsAt {
 public:
    /// They outlive it. `bucket`: for messages.
    VersionsAt(VersionApi& api, HttpTransport& transport, UnixMicros moment, std::string bucket);
    ~VersionsAt();
    VersionsAt(const VersionsAt&) = delete;
    VersionsAt& operator=(const VersionsAt&) = delete;

    /// nullopt where there was no such object. Costs a listing of one key; from the third key of a
    /// directory on a listing of the directory, once for all of them.
    std::optional<BlobVersion> find(const std::string& key);

    /// What `visit` wants next: all that follows, nothing more, or what lies behind this key and
    /// all that begins with it and a slash.
    struct GoOn {
        bool goes_on = true;
        std::string behind = {};
    };
    /// Calls `visit` for each object whose key begins with the prefix, in bytewise order.
    void visit(const std::string& prefix, const std::function<GoOn(const BlobVersion&)>& visit);

 private:
    struct Directory;
    class Scan;

    void require_versions();
    std::shared_ptr<Directory> directory_of(const std::string& key);

    VersionApi& api_;
    HttpTransport& transport_;
    const UnixMicros moment_;
    const std::string bucket_;
    std::mutex mutex_;
    bool keeps_versions_ = false;                                    ///< under the lock
    std::map<std::string, std::shared_ptr<Directory>> directories_;  ///< under the lock
};

}  // namespace ark
