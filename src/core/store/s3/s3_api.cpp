#include "core/store/s3/s3_api.hpp"

#include <algorithm>

#include "core/base/crc32c.hpp"
#include "core/http/crypto.hpp"
#include "core/http/failure.hpp"
#include "core/store/cloud/answer.hpp"
#include "core/store/cloud/xml.hpp"

namespace ark {

namespace {

constexpr const char* kTokenName = "meta-pg-ark-token";

// Big-endian, in base64: as the header has it.
std::string crc32c_text(ByteView content) {
    const uint32_t crc = crc32c(0, content);
    Bytes bytes(4);
    for (size_t i = 0; i < 4; ++i)
        bytes[i] = static_cast<std::byte>(crc >> (24 - 8 * i));
    return to_base64(bytes);
}

UnixMicros time_of(const std::string& iso8601) {
    return parse_time(iso8601, false).value_or(0);
}

std::string without_quotes(std::string tag) {
    std::erase(tag, '"');
    return tag;
}

}  // namespace

S3Api::S3Api(S3Options options, const S3Flavor& flavor)
    : options_(std::move(options)), flavor_(flavor) {}

HttpRequest S3Api::request(const char* method, const std::string& key) const {
    HttpRequest out;
    out.method = method;
    out.origin = options_.origin;
    out.path = options_.base_path + key;
    out.headers = options_.request_headers;
    return out;
}

// Where `crc32c` is empty the store would not take one.
void S3Api::add_checksum(HttpRequest& request, const std::string& crc32c, ByteView content) const {
    if (!crc32c.empty())
        request.set_header(flavor_.crc32c_header, flavor_.crc32c_prefix + crc32c);
    if (crc32c.empty() || !verifies_crc32c_)
        request.set_header("content-md5", to_base64(md5(content)));
}

void S3Api::add_condition(HttpRequest& request) const {
    if (options_.create_if_absent)
        request.set_header(flavor_.absent_header, flavor_.absent_value);
}

HttpRequest S3Api::put(const std::string& key, ByteView content, const std::string& token) {
    HttpRequest out = request("PUT", key);
    out.body = content;
    out.changes_something = true;
    out.set_header("content-type", "application/octet-stream");
    for (const auto& [name, value] : options_.object_headers)
        out.set_header(name, value);
    out.set_header(std::string(flavor_.header_prefix) + kTokenName, token);
    add_condition(out);
    add_checksum(out, crc32c_text(content), content);
    out.check = require_tag;
    return out;
}

void S3Api::note_upload(const HttpResponse& response) {
    // Google's header comes once for each kind of checksum.
    for (const auto& [name, value] : response.headers) {
        if (name == flavor_.crc32c_header && value.starts_with(flavor_.crc32c_prefix))
            verifies_crc32c_ = true;
    }
}

HttpRequest S3Api::get(const std::string& key) {
    HttpRequest out = request("GET", key);
    out.check = require_tag;
    return out;
}

HttpRequest S3Api::head(const std::string& key) {
    HttpRequest out = request("HEAD", key);
    out.check = require_tag;
    return out;
}

HttpRequest S3Api::remove(const std::string& key) {
    HttpRequest out = request("DELETE", key);
    out.changes_something = true;
    return out;
}

HttpRequest S3Api::list(const std::string& prefix, bool delimited, const std::string& from) {
    HttpRequest out = request("GET", "");
    out.query = {{"list-type", "2"}, {"prefix", prefix}};
    if (delimited)
        out.query.emplace_back("delimiter", "/");
    if (!from.empty())
        out.query.emplace_back("continuation-token", from);
    out.check = [](const HttpResponse& response) { parse_xml(response, "ListBucketResult"); };
    return out;
}

BlobPage S3Api::parse_list(const HttpResponse& response) {
    const pugi::xml_document document = parse_xml(response, "ListBucketResult");
    const pugi::xml_node root = document.child("ListBucketResult");
    BlobPage page;
    for (const pugi::xml_node object : root.children("Contents")) {
        page.objects.push_back({object.child_value("Key"), object.child("Size").text().as_ullong(),
                                time_of(object.child_value("LastModified"))});
    }
    for (const pugi::xml_node prefix : root.children("CommonPrefixes"))
        page.directories.emplace_back(prefix.child_value("Prefix"));
    if (root.child("IsTruncated").text().as_bool()) {
        page.next = root.child_value("NextContinuationToken");
        if (page.next.empty())
            throw HttpFailure(Failure::malformed, "the store's listing breaks off",
                              "It says that it goes on, and not where.");
    }
    return page;
}

std::optional<HttpRequest> S3Api::begin_upload(const std::string& key, const std::string& token) {
    HttpRequest out = request("POST", key);
    out.query = {{"uploads", std::nullopt}};
    out.set_header("content-type", "application/octet-stream");
    for (const auto& [name, value] : options_.object_headers)
        out.set_header(name, value);
    out.set_header(std::string(flavor_.header_prefix) + kTokenName, token);
    if (flavor_.announces_checksums)
        out.set_header("x-amz-checksum-algorithm", "CRC32C");
    out.check = [](const HttpResponse& response) {
        parse_xml(response, "InitiateMultipartUploadResult");
    };
    return out;
}

// The id says whether the store took the checksum's algorithm, so that no state is needed for it.
std::string S3Api::upload_id(const HttpResponse& response) {
    const pugi::xml_document document = parse_xml(response, "InitiateMultipartUploadResult");
    const std::string id = document.child("InitiateMultipartUploadResult").child_value("UploadId");
    if (id.empty())
        throw HttpFailure(Failure::malformed, "the store began an upload and did not name it");
    const bool crc = !flavor_.announces_checksums ||
                     response.header_or("x-amz-checksum-algorithm", "") == "CRC32C";
    return (crc ? "c" : "m") + id;
}

HttpRequest S3Api::put_part(const std::string& key, const std::string& id, BlobPart& part,
                            ByteView content) {
    HttpRequest out = request("PUT", key);
    out.body = content;
    out.query = {{"partNumber", std::to_string(part.number)}, {"uploadId", id.substr(1)}};
    const std::string crc32c = id[0] == 'c' ? crc32c_text(content) : std::string();
    add_checksum(out, crc32c, content);
    if (flavor_.announces_checksums)
        part.checksum = crc32c;
    out.check = require_tag;
    return out;
}

void S3Api::take_part(const HttpResponse& response, BlobPart& part) {
    note_upload(response);
    part.tag = response.header_or("etag", "");
}

HttpRequest S3Api::finish_upload(const std::string& key, const std::string& id,
                                 const std::vector<BlobPart>& parts, const std::string& /*token*/,
                                 std::string& body) {
    body = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
    for (const BlobPart& part : parts) {
        body += "<Part><PartNumber>" + std::to_string(part.number) + "</PartNumber><ETag>" +
                xml_escape("\"" + without_quotes(part.tag) + "\"") + "</ETag>";
        if (!part.checksum.empty())
            body += "<ChecksumCRC32C>" + part.checksum + "</ChecksumCRC32C>";
        body += "</Part>";
    }
    body += "</CompleteMultipartUpload>";
    HttpRequest out = request("POST", key);
    out.query = {{"uploadId", id.substr(1)}};
    out.body = as_bytes(body);
    out.changes_something = true;
    out.quiet_seconds = flavor_.finish_seconds;
    out.set_header("content-type", "application/xml");
    if (flavor_.absent_on_finish)
        add_condition(out);
    // A store may say 200 first and send the error afterwards.
    out.check = [](const HttpResponse& response) {
        parse_xml(response, "CompleteMultipartUploadResult");
    };
    return out;
}

std::optional<HttpRequest> S3Api::abort_upload(const std::string& key, const std::string& id) {
    HttpRequest out = request("DELETE", key);
    out.query = {{"uploadId", id.substr(1)}};
    out.changes_something = true;
    return out;
}

HttpRequest S3Api::list_uploads(const std::string& prefix, const std::string& from) {
    HttpRequest out = request("GET", "");
    out.query = {{"uploads", std::nullopt}, {"prefix", prefix}};
    if (const size_t tab = from.find('\t'); tab != std::string::npos) {
        out.query.emplace_back("key-marker", from.substr(0, tab));
        out.query.emplace_back("upload-id-marker", from.substr(tab + 1));
    }
    out.check = [](const HttpResponse& response) {
        parse_xml(response, "ListMultipartUploadsResult");
    };
    return out;
}

std::vector<OpenUpload> S3Api::parse_uploads(const HttpResponse& response, std::string& next) {
    const pugi::xml_document document = parse_xml(response, "ListMultipartUploadsResult");
    const pugi::xml_node root = document.child("ListMultipartUploadsResult");
    std::vector<OpenUpload> uploads;
    for (const pugi::xml_node upload : root.children("Upload")) {
        uploads.push_back({upload.child_value("Key"),
                           "m" + std::string(upload.child_value("UploadId")),
                           time_of(upload.child_value("Initiated"))});
    }
    next.clear();
    if (root.child("IsTruncated").text().as_bool())
        next = std::string(root.child_value("NextKeyMarker")) + "\t" +
               root.child_value("NextUploadIdMarker");
    return uploads;
}

std::string S3Api::token_of(const HttpResponse& response) {
    return response.header_or(std::string(flavor_.header_prefix) + kTokenName, "");
}

}  // namespace ark
