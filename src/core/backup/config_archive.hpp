#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/backup/host.hpp"
#include "core/repo/repository.hpp"

namespace ark {

/// The files that `text`, the content of the configuration file `path`, includes: absolute, in the
/// order of the lines. Those of include_dir are the ones that are there now.
std::vector<std::string> included_config_files(std::string_view text, const std::string& path);

/// The same for a pg_hba.conf or pg_ident.conf, which can include others since PostgreSQL 16.
std::vector<std::string> included_access_files(std::string_view text, const std::string& path);

/// What "@name" in the text of a pg_hba.conf or pg_ident.conf includes, as it is written there.
std::vector<std::string> included_name_lists(std::string_view text);

/// Whether this path of the data directory (relative to it) is one of the request's configuration
/// files, or a directory on the way to one: a link there is no loss.
bool leads_to_configuration(const BackupRequest& request, const std::string& path);

/// Stores config.tar.zst: the configuration files of the request that the packs do not have, since
/// they lie outside the data directory or are reached over a symbolic link in it, the files
/// that they include, and those that pg_hba.conf and pg_ident.conf include by "@name"; under their
/// absolute paths without the leading slash, as the server names them. False where there are none.
/// A file that is gone or unreadable is a warning: the backup is whole without it.
bool store_config_archive(Repository& repository, const BackupRequest& request,
                          const Writer& writer, BackupHost& host);

}  // namespace ark
