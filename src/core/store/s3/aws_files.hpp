#pragma once

#include <map>
#include <string>

namespace ark {

/// Section → key → value, keys in lower case.
using IniSections = std::map<std::string, std::map<std::string, std::string>>;

/// Reads the files of Amazon's tools: "[name]", "key = value", "#" and ";" comments, indented lines
/// (nested settings) skipped. A file that is not there is empty. Error: permission_denied.
IniSections read_ini_file(const std::string& path);

/// The settings of one profile: of the config file ("[profile x]", "[default]") and, over them, of
/// the credentials file ("[x]").
std::map<std::string, std::string> read_aws_profile(const std::string& profile,
                                                    const std::string& credentials_file);

}  // namespace ark
