#include "core/store/azure/azure_api.hpp"

#include <array>
#include <cstdio>
#include <functional>
#include <string_view>
#include <utility>

#include "core/http/crypto.hpp"
#include "core/http/failure.hpp"
#include "core/store/cloud/answer.hpp"
#include "core/store/cloud/cloud_upload.hpp"
#include "core/store/cloud/xml.hpp"

namespace ark {

namespace {

// Names of metadata are those of C#, and proxies drop headers with an underscore.
constexpr const char* kTokenHeader = "x-ms-meta-pgarktoken";

UnixMicros time_of(const pugi::xml_node& properties) {
    return parse_http_date(properties.child_value("Last-Modified")).value_or(0) * 1000000;
}

// Azure says exactly what it did; another success comes from somebody who is not the store.
std::function<void(const HttpResponse&)> require_status(int status) {
    return [status](const HttpResponse& response) {
        if (response.status != status)
            throw HttpFailure(Failure::malformed, "the store's answer is not what was asked for",
                              "It answered with status " + std::to_string(response.status) +
                                  " instead of " + std::to_string(status) + ".");
    };
}

void require_list(const HttpResponse& response) {
    parse_xml(response, "EnumerationResults");
}

// All blocks of a blob have ids of one length. The upload's own token is in it, so that two writers
// of one name never commit each other's.
std::string block_id(const std::string& upload, int number) {
    std::array<char, 16> digits{};
    std::snprintf(digits.data(), digits.size(), "%08d", number);
    return to_base64(as_bytes(upload + digits.data()));
}

}  // namespace

AzureApi::AzureApi(AzureOptions options) : options_(std::move(options)) {}

HttpRequest AzureApi::request(const char* method, const std::string& key) const {
    HttpRequest out;
    out.method = method;
    out.origin = options_.origin;
    out.path = options_.base_path + (key.empty() ? "" : "/" + key);
    return out;
}

HttpRequest AzureApi::new_blob(const std::string& key, ByteView body, const std::string& token,
                               bool if_absent) const {
    HttpRequest out = request("PUT", key);
    out.body = body;
    out.changes_something = true;
    out.set_header("content-md5", to_base64(md5(body)));
    out.set_header(kTokenHeader, token);
    for (const auto& [name, value] : options_.blob_headers)
        out.set_header(name, value);
    if (if_absent)
        out.set_header("if-none-match", "*");
    out.check = [](const HttpResponse& response) {
        require_status(201)(response);
        require_tag(response);
    };
    return out;
}

HttpRequest AzureApi::put(const std::string& key, ByteView content, const std::string& token) {
    HttpRequest out = new_blob(key, content, token, options_.create_if_absent);
    out.set_header("content-type", "application/octet-stream");
    out.set_header("x-ms-blob-type", "BlockBlob");
    return out;
}

HttpRequest AzureApi::get(const std::string& key) {
    HttpRequest out = request("GET", key);
    out.check = require_tag;
    return out;
}

HttpRequest AzureApi::head(const std::string& key) {
    HttpRequest out = request("HEAD", key);
    out.check = require_tag;
    return out;
}

HttpRequest AzureApi::remove(const std::string& key) {
    HttpRequest out = request("DELETE", key);
    out.changes_something = true;
    out.check = require_status(202);
    return out;
}

HttpRequest AzureApi::list_request(const std::string& prefix, const std::string& from) const {
    HttpRequest out = request("GET", "");
    out.query = {{"restype", "container"}, {"comp", "list"}, {"prefix", prefix}};
    if (!from.empty())
        out.query.emplace_back("marker", from);
    out.check = require_list;
    return out;
}

HttpRequest AzureApi::list(const std::string& prefix, bool delimited, const std::string& from) {
    HttpRequest out = list_request(prefix, from);
    if (delimited)
        out.query.emplace_back("delimiter", "/");
    return out;
}

BlobPage AzureApi::parse_list(const HttpResponse& response) {
    const pugi::xml_document document = parse_xml(response, "EnumerationResults");
    const pugi::xml_node root = document.child("EnumerationResults");
    BlobPage page;
    for (const pugi::xml_node blob : root.child("Blobs").children("Blob")) {
        const pugi::xml_node properties = blob.child("Properties");
        // Where the account has a hierarchical namespace, directories are listed as blobs.
        if (std::string_view(properties.child_value("ResourceType")) == "directory")
            continue;
        page.objects.push_back({blob.child_value("Name"),
                                properties.child("Content-Length").text().as_ullong(),
                                time_of(properties)});
    }
    for (const pugi::xml_node prefix : root.child("Blobs").children("BlobPrefix"))
        page.directories.emplace_back(prefix.child_value("Name"));
    page.next = root.child_value("NextMarker");
    return page;
}

std::optional<HttpRequest> AzureApi::begin_upload(const std::string& /*key*/,
                                                  const std::string& /*token*/) {
    return std::nullopt;
}

std::string AzureApi::upload_id(const HttpResponse& /*response*/) {
    return {};
}

HttpRequest AzureApi::put_part(const std::string& key, const std::string& id, BlobPart& part,
                               ByteView content) {
    part.tag = block_id(id, part.number);
    HttpRequest out = request("PUT", key);
    out.query = {{"comp", "block"}, {"blockid", part.tag}};
    out.body = content;
    out.set_header("content-md5", to_base64(md5(content)));
    out.check = require_status(201);
    return out;
}

void AzureApi::take_part(const HttpResponse& /*response*/, BlobPart& /*part*/) {}

HttpRequest AzureApi::commit(const std::string& key, const std::vector<BlobPart>& parts,
                             const std::string& token, bool if_absent, std::string& body) const {
    body = "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>";
    for (const BlobPart& part : parts)
        body += "<Uncommitted>" + part.tag + "</Uncommitted>";
    body += "</BlockList>";
    HttpRequest out = new_blob(key, as_bytes(body), token, if_absent);
    out.query = {{"comp", "blocklist"}};
    out.set_header("content-type", "application/xml");
    out.set_header("x-ms-blob-content-type", "application/octet-stream");
    return out;
}

HttpRequest AzureApi::finish_upload(const std::string& key, const std::string& /*id*/,
                                    const std::vector<BlobPart>& parts, const std::string& token,
                                    std::string& body) {
    return commit(key, parts, token, options_.create_if_absent, body);
}

// Nothing ends an upload but its commit.
std::optional<HttpRequest> AzureApi::abort_upload(const std::string& /*key*/,
                                                  const std::string& /*id*/) {
    return std::nullopt;
}

HttpRequest AzureApi::list_uploads(const std::string& prefix, const std::string& from) {
    HttpRequest out = list_request(prefix, from);
    out.query.emplace_back("include", "uncommittedblobs");
    return out;
}

// The listing has all blobs, and does not mark those that have blocks alone: they have no bytes.
std::vector<OpenUpload> AzureApi::parse_uploads(const HttpResponse& response, std::string& next) {
    BlobPage page = parse_list(response);
    next = page.next;
    std::vector<OpenUpload> uploads;
    for (ObjectInfo& blob : page.objects) {
        // Of one that does not say how old it is nothing can be said; Azure removes it in time.
        if (blob.size == 0 && blob.modified != 0)
            uploads.push_back({std::move(blob.name), {}, blob.modified});
    }
    return uploads;
}

// An empty list, committed, drops the blocks; then the empty blob is removed. A blob that was
// finished meanwhile stays, by the first condition, and one that another writer has put into the
// place of the empty one, by the second.
bool AzureApi::sweep_upload(const OpenUpload& upload, const Perform& perform) {
    if (!options_.create_if_absent)
        return false;
    const std::string token = random_token();
    std::string body;
    HttpResponse empty = perform(commit(upload.key, {}, token, true, body));
    if (!empty.ok()) {
        // Its answer may have been lost, and this be the second try's.
        empty = perform(head(upload.key));
        if (!empty.ok() || token_of(empty) != token)
            return false;
    }
    HttpRequest last = remove(upload.key);
    last.set_header("if-match", empty.header_or("etag", ""));
    perform(last);
    return true;
}

std::string AzureApi::token_of(const HttpResponse& response) {
    return response.header_or(kTokenHeader, "");
}

}  // namespace ark
