#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.hpp"
#include "core/http/message.hpp"

namespace ark {

/// A version of an object, or the mark that it was deleted.
struct BlobVersion {
    std::string key;
    std::string id;
    uint64_t size = 0;
    UnixMicros modified = 0;  ///< the store's clock
    bool is_deletion = false;
};

/// Where in a listing of versions something is: behind this version of the key, or without an id
/// behind all of them.
struct VersionPlace {
    std::string key;
    std::string id;

    bool operator==(const VersionPlace&) const = default;
};

/// One page of a listing of versions. Keys are whole.
struct VersionPage {
    std::vector<BlobVersion> versions;  ///< in order of keys; of one key the newest first
    std::optional<VersionPlace> next;   ///< behind what the next page begins; nullopt: the last
};

/// How one vendor says what a bucket held in the past. As BlobApi: requests without credentials,
/// and what the answers mean. Thread-safe.
class VersionApi {
 public:
    VersionApi() = default;
    VersionApi(const VersionApi&) = delete;
    VersionApi& operator=(const VersionApi&) = delete;
    virtual ~VersionApi() = default;

    /// Asks whether the bucket keeps versions.
    virtual HttpRequest ask_state() = 0;
    virtual bool keeps_versions(const HttpResponse& response) = 0;

    /// `delimited`: not what lies below further slashes. `after`: an empty key for the begin.
    virtual HttpRequest list(const std::string& prefix, bool delimited,
                             const VersionPlace& after) = 0;
    virtual VersionPage parse_list(const HttpResponse& response) = 0;
    virtual HttpRequest get(const BlobVersion& version) = 0;
};

}  // namespace ark
