#include "core/store/cloud/ini_file.hpp"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <string_view>

#include "core/base/file.hpp"

namespace ark {

namespace {

constexpr uint64_t kMaxFile = 1 << 20;

std::string trimmed(std::string_view text) {
    const size_t from = text.find_first_not_of(" \t\r");
    if (from == std::string_view::npos)
        return {};
    return std::string(text.substr(from, text.find_last_not_of(" \t\r") - from + 1));
}

}  // namespace

IniSections read_ini_file(const std::string& path) {
    IniSections sections;
    const auto content = read_file_if_exists(path, kMaxFile);
    if (!content)
        return sections;
    std::string_view text = as_text(*content);
    std::string section;
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        const std::string_view raw = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        const std::string line = trimmed(raw);
        if (line.empty() || line[0] == '#' || line[0] == ';')
            continue;
        if (line[0] == '[') {
            section = trimmed(std::string_view(line).substr(1, line.find(']') - 1));
            continue;
        }
        const size_t equals = line.find('=');
        if (raw[0] == ' ' || raw[0] == '\t' || equals == std::string::npos)
            continue;
        std::string key = trimmed(std::string_view(line).substr(0, equals));
        std::ranges::transform(key, key.begin(),
                               [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        sections[section][key] = trimmed(std::string_view(line).substr(equals + 1));
    }
    return sections;
}

}  // namespace ark
