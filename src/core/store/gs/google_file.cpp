#include "core/store/gs/google_file.hpp"

#include <nlohmann/json.hpp>

#include "core/base/error.hpp"
#include "core/http/message.hpp"

namespace ark {

std::string text_in(const nlohmann::json& file, const char* name) {
    const auto found = file.is_object() ? file.find(name) : file.end();
    return found != file.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string need_text(const nlohmann::json& file, const char* name) {
    std::string text = text_in(file, name);
    if (text.empty()) {
        throw Error(ErrorCode::invalid_argument,
                    "Google's credentials have no \"" + std::string(name) + "\"", {},
                    "Download the file again, or check what wrote it.");
    }
    return text;
}

void check_token_url(const std::string& url) {
    const std::string origin = parse_url("POST", url).origin;
    std::string host = origin.substr(origin.find("://") + 3);
    host = host.substr(0, host.rfind(':'));
    if (!origin.starts_with("https://") && host != "127.0.0.1" && host != "localhost" &&
        host != "[::1]") {
        throw Error(ErrorCode::invalid_argument, "Google's credentials would be sent in clear text",
                    "The token service \"" + origin + "\" is not one with https://.",
                    "Download the credentials again; whoever changed them may have meant harm.");
    }
}

}  // namespace ark
