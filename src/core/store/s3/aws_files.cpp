#include "core/store/s3/aws_files.hpp"

#include "core/base/environment.hpp"
#include "core/store/cloud/ini_file.hpp"

namespace ark {

namespace {

std::string file_or(const char* variable, const char* below_home) {
    const std::string named = environment(variable);
    return named.empty() ? home_directory() + below_home : named;
}

}  // namespace

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
