#include "core/store/name.hpp"

#include <algorithm>

#include "core/base/error.hpp"

namespace ark {

bool is_object_name_character(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

bool is_object_name_part(std::string_view part) {
    if (part.empty() || part == "." || part == "..")
        return false;
    return std::all_of(part.begin(), part.end(), is_object_name_character);
}

void check_object_name(std::string_view name) {
    for (size_t begin = 0; begin <= name.size();) {
        const size_t slash = std::min(name.find('/', begin), name.size());
        if (!is_object_name_part(name.substr(begin, slash - begin))) {
            throw Error(ErrorCode::invalid_argument,
                        "invalid object name \"" + std::string(name) + "\"",
                        "Names are parts of letters, digits, \".\", \"_\" and \"-\" joined by "
                        "slashes.");
        }
        begin = slash + 1;
    }
}

void check_object_prefix(std::string_view prefix) {
    if (!prefix.empty())
        check_object_name(prefix);
}

std::vector<std::string> split_object_name(std::string_view name) {
    std::vector<std::string> parts;
    for (size_t begin = 0; begin < name.size();) {
        const size_t slash = std::min(name.find('/', begin), name.size());
        parts.emplace_back(name.substr(begin, slash - begin));
        begin = slash + 1;
    }
    return parts;
}

std::string object_directory(std::string_view name) {
    const size_t slash = name.find_last_of('/');
    return slash == std::string_view::npos ? std::string() : std::string(name.substr(0, slash));
}

}  // namespace ark
