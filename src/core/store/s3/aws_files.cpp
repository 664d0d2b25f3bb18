#include "core/store/s3/aws_files.hpp"

#include <algorithm>
#include <cctype>

#include "core/base/environment.hpp"
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

std::string file_or(const char* variable, const char* below_home) {
    const std::string named = environment(variable);
    return named.empty() ? home_directory() + below_home : named;
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

std::map<std::string, std::string> read_aws_profile(const std::string& profile,
                                                    const std::string& credentials_file) {
    const IniSections config = read_ini_file(file_or("AWS_CONFIG_FILE", "/.aws/config"));
    const IniSections credentials = read_ini_file(
        credentials_file.empty() ? file_or("AWS_SHARED_CREDENTIALS_FILE", "/.aws/credentials")
                                 : credentials_file);
    std::map<std::string, std::string> out;
    const auto add = [&](const IniSections& sections, const std::string& name) {
        const auto found = sections.find(name);
        if (found == sections.end())
            return;
        for (const auto& [key, value] : found->second)
            out[key] = value;
    };
    add(config, profile == "default" ? "default" : "profile " + profile);
    add(credentials, profile);
    return out;
}

}  // namespace ark
