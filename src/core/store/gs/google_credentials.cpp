#include "core/store/gs/google_credentials.hpp"

#include <nlohmann/json.hpp>

#include "core/base/environment.hpp"
#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/base/json.hpp"
#include "core/store/cloud/ini_file.hpp"
#include "core/store/gs/google_tokens.hpp"

namespace ark {

namespace {

constexpr size_t kMaxFile = 1 << 20;
constexpr const char* kHint =
    "A server takes them from a file: credentials_file=/path in the repository's URL; see "
    "docs/object-storage.md.";

std::string named_file(const GoogleCredentialOptions& options) {
    return options.credentials_file.empty() ? environment("GOOGLE_APPLICATION_CREDENTIALS")
                                            : options.credentials_file;
}

std::string gcloud_file() {
    const std::string named = environment("CLOUDSDK_CONFIG");
    return (named.empty() ? home_directory() + "/.config/gcloud" : named) +
           "/application_default_credentials.json";
}

std::optional<std::string> content_of(const std::string& path) {
    const auto content = read_file_if_exists(path, kMaxFile);
    if (!content)
        return std::nullopt;
    return std::string(as_text(*content));
}

std::string need_content(const std::string& path) {
    auto content = content_of(path);
    if (!content)
        throw Error(ErrorCode::permission_denied,
                    "credentials file \"" + path + "\" does not exist", {}, kHint);
    return *content;
}

bool is_json(const std::string& text) {
    const size_t first = text.find_first_not_of(" \t\r\n");
    return first != std::string::npos && text[first] == '{';
}

BearerToken token_by(const std::string& path, const std::string& text, const std::string& ca_file) {
    const nlohmann::json file = parse_json(text);
    if (!file.is_object()) {
        throw Error(ErrorCode::invalid_argument,
                    "credentials file \"" + path + "\" is not a JSON document", {}, kHint);
    }
    try {
        return google_token(file, kStorageScope, ca_file);
    } catch (Error& error) {
        error.detail += (error.detail.empty() ? "" : " ") +
                        ("The credentials are those of file \"" + path + "\".");
        throw;
    }
}

}  // namespace

std::optional<SigningKey> find_hmac_key(const GoogleCredentialOptions& options) {
    if (const std::string path = named_file(options); !path.empty()) {
        if (is_json(need_content(path)))
            return std::nullopt;
        const IniSections sections = read_ini_file(path);
        const auto found = sections.find("Credentials");
        SigningKey key;
        if (found != sections.end()) {
            for (const auto& [name, value] : found->second) {
                if (name == "gs_access_key_id")
                    key.access_key = value;
                if (name == "gs_secret_access_key")
                    key.secret_key = value;
            }
        }
        if (key.access_key.empty() || key.secret_key.empty()) {
            throw Error(ErrorCode::invalid_argument,
                        "credentials file \"" + path + "\" holds no credentials of Google's",
                        "It is neither JSON nor a boto file with [Credentials], gs_access_key_id "
                        "and gs_secret_access_key.",
                        kHint);
        }
        return key;
    }
    SigningKey key{environment("GS_ACCESS_KEY_ID"), environment("GS_SECRET_ACCESS_KEY"), {}};
    if (key.access_key.empty() || key.secret_key.empty())
        return std::nullopt;
    return key;
}

BearerToken find_google_token(const GoogleCredentialOptions& options) {
    if (const std::string path = named_file(options); !path.empty())
        return token_by(path, need_content(path), options.ca_file);
    if (const auto content = content_of(gcloud_file()))
        return token_by(gcloud_file(), *content, options.ca_file);
    std::string why = "The metadata server is not to be asked (NO_GCE_CHECK).";
    if (environment("NO_GCE_CHECK") != "true") {
        try {
            return metadata_token();
        } catch (const Error& error) {
            why = "The metadata server: " + error.message + ".";
        }
    }
    throw Error(ErrorCode::permission_denied, "no credentials for object storage were found",
                "Nothing in the environment (GOOGLE_APPLICATION_CREDENTIALS, GS_ACCESS_KEY_ID), no "
                "file \"" +
                    gcloud_file() + "\". " + why,
                kHint);
}

}  // namespace ark
