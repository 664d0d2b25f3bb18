#pragma once

#include <map>
#include <string>

namespace ark {

/// Section → key → value, keys in lower case.
using IniSections = std::map<std::string, std::map<std::string, std::string>>;

/// Reads the files of the vendors' tools: "[name]", "key = value", "#" and ";" comments, indented
/// lines (nested settings) skipped. A file that is not there is empty. Error: permission_denied.
IniSections read_ini_file(const std::string& path);

}  // namespace ark
