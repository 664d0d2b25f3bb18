#include "core/store/s3/credential_answers.hpp"

#include <ctime>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/json.hpp"
#include "core/store/cloud/xml.hpp"

namespace ark {

namespace {

int64_t expiry_of(const std::string& iso8601) {
    const auto time = parse_time(iso8601, false);
    return time ? *time / 1000000 : ::time(nullptr) + 900;
}

std::string text_of(const nlohmann::json& j, const char* name) {
    return j.is_object() && j.contains(name) && j[name].is_string() ? j[name].get<std::string>()
                                                                    : std::string();
}

Error no_document(const std::string& profile, const std::string& why) {
    return {ErrorCode::permission_denied,
            "credential_process of AWS profile \"" + profile + "\" gave no credentials", why,
            "Run the command by hand as the user of the server."};
}

}  // namespace

// The documents of the container's and the instance's service are the same but for the token's
// name.
S3Credentials credentials_in_json(const HttpResponse& response, const char* from) {
    const nlohmann::json j = parse_json(as_text(response.body));
    S3Credentials out{
        {text_of(j, "AccessKeyId"), text_of(j, "SecretAccessKey"), text_of(j, "Token")},
        expiry_of(text_of(j, "Expiration"))};
    if (out.key.access_key.empty() || out.key.secret_key.empty()) {
        throw Error(ErrorCode::permission_denied, std::string(from) + " gave no credentials",
                    "Its answer is not the JSON document that it should be.");
    }
    return out;
}

S3Credentials credentials_in_xml(const HttpResponse& response, const std::string& action) {
    if (!response.ok()) {
        pugi::xml_document document;
        document.load_buffer(response.body.data(), response.body.size());
        const pugi::xml_node error = document.child("ErrorResponse").child("Error");
        throw Error(ErrorCode::permission_denied, "the token service refused to give credentials",
                    "It answered with status " + std::to_string(response.status) + " " +
                        error.child_value("Code") + ": " + error.child_value("Message"),
                    "Check the role, and whom it trusts.");
    }
    const pugi::xml_document document = parse_xml(response, (action + "Response").c_str());
    const pugi::xml_node found =
        document.document_element().child((action + "Result").c_str()).child("Credentials");
    S3Credentials out{{found.child_value("AccessKeyId"), found.child_value("SecretAccessKey"),
                       found.child_value("SessionToken")},
                      expiry_of(found.child_value("Expiration"))};
    if (out.key.access_key.empty() || out.key.secret_key.empty()) {
        throw Error(ErrorCode::permission_denied, "the token service gave no credentials",
                    "Its answer holds none.");
    }
    return out;
}

S3Credentials credentials_of_process(const std::string& text, const std::string& profile) {
    const nlohmann::json j = parse_json(text);
    if (!j.is_object() || !j.contains("Version") || j["Version"] != 1)
        throw no_document(profile, "What it wrote is not a JSON document of version 1.");
    S3Credentials out{
        {text_of(j, "AccessKeyId"), text_of(j, "SecretAccessKey"), text_of(j, "SessionToken")},
        std::nullopt};
    if (out.key.access_key.empty() || out.key.secret_key.empty())
        throw no_document(profile, "Its document holds no keys.");
    if (const std::string end = text_of(j, "Expiration"); !end.empty()) {
        const auto time = parse_time(end, false);
        if (!time)
            throw no_document(profile, "Its Expiration is no time.");
        out.expires = *time / 1000000;
    }
    return out;
}

}  // namespace ark
