#pragma once

#include <map>
#include <string>

namespace ark {

/// The settings of one profile: of the config file ("[profile x]", "[default]") and, over them, of
/// the credentials file ("[x]").
std::map<std::string, std::string> read_aws_profile(const std::string& profile,
                                                    const std::string& credentials_file);

}  // namespace ark
