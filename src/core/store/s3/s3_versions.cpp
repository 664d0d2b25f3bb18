#include "core/store/s3/s3_versions.hpp"

#include <algorithm>
#include <functional>
#include <string_view>

#include "core/http/failure.hpp"
#include "core/store/cloud/answer.hpp"
#include "core/store/cloud/xml.hpp"

namespace ark {

namespace {

constexpr const char* kList = "ListVersionsResult";
constexpr const char* kState = "VersioningConfiguration";
// The only version of what was put before the bucket kept any; stores do not name it in an answer.
constexpr const char* kOnlyVersion = "null";

HttpFailure malformed(const std::string& detail) {
    return {Failure::malformed, "the store's listing of versions is none", detail};
}

// A name may hold what XML cannot: so the store is asked to encode all of them.
std::string decoded(std::string text, bool is_encoded) {
    if (!is_encoded)
        return text;
    std::ranges::replace(text, '+', ' ');
    auto plain = percent_decode(text);
    if (!plain)
        throw malformed("A name in it is not encoded as it says.");
    return *plain;
}

BlobVersion version_of(const pugi::xml_node& node, bool is_encoded) {
    BlobVersion out;
    out.key = decoded(node.child_value("Key"), is_encoded);
    out.id = node.child_value("VersionId");
    out.size = node.child("Size").text().as_ullong();
    out.is_deletion = std::string_view(node.name()) == "DeleteMarker";
    // Taken for very old it would stand for what came after it.
    const auto time = parse_time(node.child_value("LastModified"), false);
    if (out.key.empty() || out.id.empty() || !time)
        throw malformed("A version in it has no name, no id or no time.");
    out.modified = *time;
    return out;
}

// Some stores encode this one too, some do not. Most name the last key of the page: where one
// reading is that, it is the right one.
std::string next_key(const pugi::xml_node& root, bool is_encoded,
                     const std::vector<BlobVersion>& versions) {
    std::string text = root.child_value("NextKeyMarker");
    if (!versions.empty() && versions.back().key == text)
        return text;
    return decoded(text, is_encoded);
}

}  // namespace

HttpRequest S3Versions::request(const std::string& key) const {
    HttpRequest out;
    out.method = "GET";
    out.origin = options_.origin;
    out.path = options_.base_path + key;
    out.headers = options_.request_headers;
    return out;
}

HttpRequest S3Versions::ask_state() {
    HttpRequest out = request("");
    out.query = {{"versioning", std::nullopt}};
    out.check = [](const HttpResponse& response) { parse_xml(response, kState); };
    return out;
}

// Where they are not kept any more ("Suspended"), those of before are.
bool S3Versions::keeps_versions(const HttpResponse& response) {
    const pugi::xml_document document = parse_xml(response, kState);
    return *document.child(kState).child_value("Status") != '\0';
}

HttpRequest S3Versions::list(const std::string& prefix, bool delimited, const VersionPlace& after) {
    HttpRequest out = request("");
    out.query = {{"versions", std::nullopt}, {"prefix", prefix}, {"encoding-type", "url"}};
    if (delimited)
        out.query.emplace_back("delimiter", "/");
    if (!after.key.empty())
        out.query.emplace_back("key-marker", after.key);
    if (!after.id.empty())
        out.query.emplace_back("version-id-marker", after.id);
    out.check = [](const HttpResponse& response) { parse_xml(response, kList); };
    return out;
}

VersionPage S3Versions::parse_list(const HttpResponse& response) {
    const pugi::xml_document document = parse_xml(response, kList);
    const pugi::xml_node root = document.child(kList);
    const bool is_encoded = std::string_view(root.child_value("EncodingType")) == "url";
    VersionPage page;
    for (const pugi::xml_node node : root.children()) {
        const std::string_view name = node.name();
        if (name == "Version" || name == "DeleteMarker")
            page.versions.push_back(version_of(node, is_encoded));
    }
    if (!root.child("IsTruncated").text().as_bool())
        return page;
    page.next = {next_key(root, is_encoded, page.versions),
                 root.child_value("NextVersionIdMarker")};
    if (page.next->key.empty())
        throw malformed("It says that it goes on, and not where.");
    return page;
}

// A store that does not know versions would answer with the newest.
HttpRequest S3Versions::get(const BlobVersion& version) {
    HttpRequest out = request(version.key);
    out.query = {{"versionId", version.id}};
    out.check = [id = version.id](const HttpResponse& response) {
        require_tag(response);
        if (response.header_or("x-amz-version-id", kOnlyVersion) != id)
            throw HttpFailure(Failure::malformed,
                              "the store answered with another version of an object than asked for",
                              "Asked for was \"" + id + "\", it sent \"" +
                                  response.header_or("x-amz-version-id", kOnlyVersion) + "\".");
    };
    return out;
}

}  // namespace ark
