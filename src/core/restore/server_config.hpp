#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/repo/marker.hpp"
#include "core/repo/repository.hpp"

namespace ark {

/// Where configuration files of the source go in a restored data directory: postgresql.conf,
/// pg_hba.conf and pg_ident.conf by their role; what lay beside the main file keeps its place
/// beside it; the rest goes below pg_ark_config/ with its whole path. Pure.
class ConfigPlaces {
 public:
    ConfigPlaces(const BackupMarker& backup, std::string data_directory);

    /// The new absolute path of an absolute path of the source ("." and ".." are resolved first).
    std::string place_of(const std::string& source_path) const;
    /// The source's main configuration file.
    const std::string& main_source() const { return main_; }
    const std::string& data_directory() const { return directory_; }

 private:
    std::string directory_;
    std::string source_directory_;
    std::string main_;
    std::string main_directory_;
    std::string hba_;
    std::string ident_;
};

/// The text of a configuration file of the source as it has to read in its new place: settings that
/// lead to the source's files are commented out, includes point to where the included file is now.
struct ConfigRewrite {
    std::string text;
    std::vector<std::string> included;              ///< source paths, to be rewritten as well
    std::vector<std::string> included_directories;  ///< source paths
};
/// `source_path` is where the file was. `is_there` says whether something exists at a new path.
ConfigRewrite rewrite_config(std::string_view text, const std::string& source_path,
                             const ConfigPlaces& places,
                             const std::function<bool(const std::string&)>& is_there,
                             std::vector<std::string>& warnings);
/// The same for a pg_hba.conf or pg_ident.conf.
ConfigRewrite rewrite_access(std::string_view text, const std::string& source_path,
                             const ConfigPlaces& places,
                             const std::function<bool(const std::string&)>& is_there,
                             std::vector<std::string>& warnings);

/// Brings the configuration that the source kept outside its data directory into the restored one,
/// and rewrites what is there so that "pg_ctl -D <data directory> start" uses nothing else. Files
/// are not fsynced. What the user should know goes to `notices` and `warnings`. Returns the paths
/// of the main file and of all that it includes.
std::vector<std::string> restore_configuration(Repository& repository, const BackupMarker& backup,
                                               const std::string& data_directory,
                                               std::vector<std::string>& notices,
                                               std::vector<std::string>& warnings);

}  // namespace ark
