#include "core/store/gs/google_file.hpp"

#include <nlohmann/json.hpp>

#include "core/base/error.hpp"

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

}  // namespace ark
