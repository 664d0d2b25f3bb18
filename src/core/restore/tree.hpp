#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "core/base/file.hpp"

namespace ark {

// Directory trees on the disk of the restore. Symbolic links are never followed.

/// "<directory>/<name>".
std::string join_path(const std::string& directory, const std::string& name);

/// Names in the directory, without "." and "..", in no order. Error: as system_error.
std::vector<std::string> names_in_directory(const std::string& path);

/// True for a directory that holds nothing; false for anything else or nothing.
bool is_empty_directory(const std::string& path);

/// Removes what the directory holds, but for the names in `keep` (direct children). Links are
/// removed, not what they point to; a mount point stays, emptied. Error: as system_error.
void empty_directory(const std::string& path, const std::set<std::string>& keep);
/// Removes the directory with everything in it.
void remove_tree(const std::string& path);

/// Makes the directory and what is missing above it, with this mode for each new one.
void make_directories(const std::string& path, unsigned mode);

/// Makes a new file, empty, open for reading and writing, and directories above it that are
/// missing. Error: as system_error, also where something is there.
File make_file(const std::string& path);

/// A plain file of this user's with one name alone: a second name would be changed with it.
bool is_own_plain_file(const struct stat& st);

/// Bytes of disk that the files below the directory take; 0 where it does not exist.
uint64_t disk_usage(const std::string& path);

/// fsync of every directory below and of the directory itself; files are not touched.
void fsync_directories(const std::string& path);

/// Absolute, with the symbolic links of the part that exists resolved, without "." and "..".
/// Error: as system_error.
std::string canonical_path(const std::string& path);

}  // namespace ark
