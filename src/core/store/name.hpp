#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ark {

/// True for a character that may stand in a name: letters, digits, ".", "_" and "-".
bool is_object_name_character(char c);

/// True for one part of an object's name: [A-Za-z0-9._-]+, not "." and not "..".
bool is_object_name_part(std::string_view part);

/// Error: invalid_argument unless the name is one or more such parts joined by single slashes.
/// Every store checks with this before it does anything, so that no name leads out of its root.
void check_object_name(std::string_view name);

/// A listing's prefix: an object name, or empty for the whole store. Error: invalid_argument.
void check_object_prefix(std::string_view prefix);

/// The parts of a checked name; none for the empty prefix.
std::vector<std::string> split_object_name(std::string_view name);

/// "a/b" of "a/b/c"; "" of "c".
std::string object_directory(std::string_view name);

}  // namespace ark
