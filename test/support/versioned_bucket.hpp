#pragma once

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/clock.hpp"
#include "core/http/failure.hpp"
#include "core/http/transport.hpp"
#include "core/store/cloud/xml.hpp"

namespace ark::test {

/// A bucket that keeps versions and speaks S3, as far as they are read: played in memory, in pages
/// of a few entries.
class VersionedBucket : public HttpTransport {
 public:
    explicit VersionedBucket(size_t page) : page_(page) {}

    void put(const std::string& key, ByteView content, UnixMicros at) {
        add(key, {{}, Bytes(content.begin(), content.end()), at, false});
    }
    void remove(const std::string& key, UnixMicros at) { add(key, {{}, {}, at, true}); }
    /// What nobody undoes: the version itself goes.
    void lose_newest(const std::string& key) {
        const std::lock_guard lock(mutex_);
        keys_.at(key).erase(keys_.at(key).begin());
    }
    /// Whether there is an object with a version of before this moment, and no later mark.
    bool holds(const std::string& key, UnixMicros at) {
        const std::lock_guard lock(mutex_);
        const auto found = keys_.find(key);
        if (found == keys_.end())
            return false;
        for (const Version& version : found->second) {
            if (version.modified <= at)
                return !version.is_deletion;
        }
        return false;
    }

    HttpResponse perform(const HttpRequest& request) override {
        const std::lock_guard lock(mutex_);
        ++requests[what_of(request)];
        HttpResponse response = answer(request);
        if (response.ok() && request.check)
            request.check(response);
        return response;
    }

    std::string state = "<Status>Enabled</Status>";
    std::map<std::string, int> requests;  ///< by kind: "versioning", "versions", "versionId"
    std::vector<std::string> listed;      ///< prefixes, with "/" behind where delimited

 private:
    struct Version {
        std::string id;
        Bytes content;
        UnixMicros modified = 0;
        bool is_deletion = false;
    };

    void add(const std::string& key, Version version) {
        const std::lock_guard lock(mutex_);
        version.id = "v" + std::to_string(++last_id_);
        auto& all = keys_[key];
        const auto at = std::ranges::find_if(
            all, [&](const Version& other) { return other.modified <= version.modified; });
        all.insert(at, std::move(version));
    }

    static const std::string* parameter(const HttpRequest& request, std::string_view name) {
        static const std::string kNothing;
        for (const auto& [key, value] : request.query) {
            if (key == name)
                return value ? &*value : &kNothing;
        }
        return nullptr;
    }
    static std::string what_of(const HttpRequest& request) {
        return request.query.empty() ? "none" : request.query.front().first;
    }
    static HttpResponse text(const std::string& body) {
        HttpResponse out;
        out.status = 200;
        out.body.assign(as_bytes(body).begin(), as_bytes(body).end());
        return out;
    }

    HttpResponse answer(const HttpRequest& request) {
        if (parameter(request, "versioning") != nullptr)
            return text("<VersioningConfiguration>" + state + "</VersioningConfiguration>");
        if (parameter(request, "versions") != nullptr)
            return list(request);
        return get(request, request.path.substr(1));
    }

    HttpResponse get(const HttpRequest& request, const std::string& key) {
        HttpResponse out;
        out.status = 404;
        for (const Version& version : keys_[key]) {
            if (version.id != *parameter(request, "versionId"))
                continue;
            out.status = 200;
            out.headers = {{"etag", "\"e\""}, {"x-amz-version-id", version.id}};
            ByteView bytes = version.content;
            if (const std::string* range = request.header("range")) {
                const size_t first = std::stoul(range->substr(6));
                if (first >= bytes.size()) {
                    out.status = 416;
                    return out;
                }
                bytes = bytes.subspan(first);
                bytes = bytes.first(std::min(bytes.size(), request.into->size()));
                std::ranges::copy(bytes, request.into->begin());
            } else if (bytes.size() > request.limit) {
                throw HttpFailure(Failure::too_long, "object \"" + key + "\" is too long");
            } else {
                out.body.assign(bytes.begin(), bytes.end());
            }
            out.received = bytes.size();
        }
        return out;
    }

    // Entries behind the marker, so many as a page has.
    HttpResponse list(const HttpRequest& request) {
        const std::string& prefix = *parameter(request, "prefix");
        const bool delimited = parameter(request, "delimiter") != nullptr;
        const std::string* key_marker = parameter(request, "key-marker");
        const std::string* id_marker = parameter(request, "version-id-marker");
        listed.push_back(prefix + (delimited ? "/" : ""));
        std::string body;
        std::string last_directory;
        std::pair<std::string, std::string> last;
        size_t entries = 0;
        bool is_behind_id = id_marker == nullptr;
        for (const auto& [key, versions] : keys_) {
            if (!key.starts_with(prefix) || (key_marker != nullptr && key < *key_marker) ||
                (key_marker != nullptr && key == *key_marker && id_marker == nullptr))
                continue;
            const size_t slash = delimited ? key.find('/', prefix.size()) : std::string::npos;
            if (slash != std::string::npos) {
                const std::string directory = key.substr(0, slash + 1);
                if (directory == last_directory ||
                    (key_marker != nullptr && key_marker->starts_with(directory)))
                    continue;
                if (entries++ == page_)
                    return end(body, last);
                last_directory = directory;
                last = {directory, ""};
                body += "<CommonPrefixes><Prefix>" + percent_encode(directory, false) +
                        "</Prefix></CommonPrefixes>";
                continue;
            }
            for (const Version& version : versions) {
                if (key_marker != nullptr && key == *key_marker && !is_behind_id) {
                    is_behind_id = version.id == *id_marker;
                    continue;
                }
                if (entries++ == page_)
                    return end(body, last);
                last = {key, version.id};
                body += entry(key, version);
            }
        }
        return end(body, {});
    }

    static std::string entry(const std::string& key, const Version& version) {
        const std::string element = version.is_deletion ? "DeleteMarker" : "Version";
        return "<" + element + "><Key>" + percent_encode(key, false) + "</Key><VersionId>" +
               version.id + "</VersionId><LastModified>" + to_iso8601(version.modified) +
               "</LastModified>" +
               (version.is_deletion
                    ? std::string()
                    : "<Size>" + std::to_string(version.content.size()) + "</Size>") +
               "</" + element + ">";
    }

    static HttpResponse end(const std::string& body,
                            const std::pair<std::string, std::string>& next) {
        std::string more = "<IsTruncated>false</IsTruncated>";
        if (!next.first.empty())
            more = "<IsTruncated>true</IsTruncated><NextKeyMarker>" +
                   percent_encode(next.first, false) + "</NextKeyMarker><NextVersionIdMarker>" +
                   next.second + "</NextVersionIdMarker>";
        return text("<ListVersionsResult><EncodingType>url</EncodingType>" + more + body +
                    "</ListVersionsResult>");
    }

    const size_t page_;
    std::mutex mutex_;
    int last_id_ = 0;
    std::map<std::string, std::vector<Version>> keys_;  ///< the newest first
};

}  // namespace ark::test
