#include "core/store/gs/external_account.hpp"

#include <optional>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/base/error.hpp"
#include "core/base/json.hpp"
#include "core/http/crypto.hpp"
#include "core/http/side_request.hpp"
#include "core/store/gs/google_file.hpp"

namespace ark {

namespace {

Error bad_source(const std::string& why) {
    return {ErrorCode::invalid_argument,
            "the credential_source of Google's credentials cannot be used", why,
            "pg_ark takes tokens from a file or a URL; programs and Amazon's own signature are not "
            "run by a server."};
}

std::string ask_provider(const nlohmann::json& source, const std::string& ca_file) {
    HttpRequest request = parse_url("GET", text_in(source, "url"));
    const nlohmann::json headers = source.value("headers", nlohmann::json::object());
    for (const auto& header : headers.items()) {
        if (!headers.is_object() || !header.value().is_string())
            throw bad_source("Its headers are not texts.");
        std::string name = header.key();
        for (char& c : name)
            c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        const std::string value = header.value().get<std::string>();
        if ((name + value).find_first_of("\r\n") != std::string::npos)
            throw bad_source("Its headers hold line breaks.");
        request.set_header(name, value);
    }
    const HttpResponse response = side_request(request, ca_file);
    if (!response.ok()) {
        throw Error(ErrorCode::permission_denied, "the identity provider gave no token",
                    "\"" + request.origin + request.path + "\" answered with status " +
                        std::to_string(response.status) + ".");
    }
    return std::string(as_text(response.body));
}

// The token alone, or a member of a JSON document.
std::string subject_token(const nlohmann::json& source, const std::string& ca_file) {
    std::string text;
    if (!text_in(source, "environment_id").empty() || source.contains("executable"))
        throw bad_source("It names a program, or Amazon's metadata.");
    if (const std::string path = text_in(source, "file"); !path.empty())
        text = read_token_file(path);
    else if (!text_in(source, "url").empty())
        text = ask_provider(source, ca_file);
    else
        throw bad_source("It names neither a file nor a URL.");
    const nlohmann::json format = source.value("format", nlohmann::json::object());
    if (text_in(format, "type") == "json") {
        const nlohmann::json j = parse_json(text);
        text = text_in(j, need_text(format, "subject_token_field_name").c_str());
    }
    if (text.empty())
        throw Error(ErrorCode::permission_denied, "the identity provider gave no token",
                    "What it wrote is empty, or not of the format that credential_source tells.");
    return text;
}

}  // namespace

BearerToken external_account_token(const nlohmann::json& file, const std::string& scope,
                                   const std::string& ca_file) {
    const std::string url = need_text(file, "token_url");
    check_token_url(url);  // before anybody is asked for what goes there
    const nlohmann::json source = file.value("credential_source", nlohmann::json());
    if (!source.is_object())
        throw bad_source("There is none.");
    std::vector<std::pair<std::string, std::optional<std::string>>> form{
        {"grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"},
        {"audience", need_text(file, "audience")},
        {"scope", scope},
        {"requested_token_type", "urn:ietf:params:oauth:token-type:access_token"},
        {"subject_token_type", need_text(file, "subject_token_type")},
        {"subject_token", subject_token(source, ca_file)}};
    const std::string client = text_in(file, "client_id");
    if (const std::string project = text_in(file, "workforce_pool_user_project");
        !project.empty() && client.empty())
        form.emplace_back("options", nlohmann::json{{"userProject", project}}.dump());
    const std::string body = encode_query(form);
    HttpRequest request = form_request(url, body);
    if (!client.empty()) {
        const std::string pair = client + ":" + text_in(file, "client_secret");
        request.set_header("authorization", "Basic " + to_base64(as_bytes(pair)));
    }
    return parse_token_answer(side_request(request, ca_file), "Google's token service");
}

}  // namespace ark
