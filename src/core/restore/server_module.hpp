#pragma once

#include <optional>
#include <string>
#include <vector>

namespace ark {

// A restored configuration names pg_ark's module in shared_preload_libraries. On a machine that has
// the executable alone the server would not start with it.

/// The library directory of the server that will run here: of the one beside `program`, else of the
/// packages' usual place. nullopt where none is found.
std::optional<std::string> find_library_directory(const std::string& program, int major);

/// Settings to be added at the end of postgresql.auto.conf, so that the server starts without the
/// module: the libraries that `files` (in the order in which the server reads them; those that are
/// absent say nothing) name beside it, and with `no_archiving` archive_mode = off, since what
/// nobody archives fills the disk. Empty where the module is not among the libraries.
std::string settings_without_module(const std::vector<std::string>& files, bool no_archiving);

}  // namespace ark
