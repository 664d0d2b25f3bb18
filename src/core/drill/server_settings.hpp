#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/pgdata/control_file.hpp"
#include "core/restore/recovery_config.hpp"

namespace ark {

/// What the scratch server's configuration is made of.
struct ScratchServerPlan {
    std::string data_directory;
    std::string config_directory;  ///< holds postgresql.conf, pg_hba.conf, pg_ident.conf
    std::string socket_directory;
    uint32_t major = 15;
    ControlFile control;
    int jobs = 2;
    int memory_mb = 64;
    std::vector<std::string> libraries;
    RecoverySettings recovery;
};

using ServerSetting = std::pair<std::string, std::string>;

/// The settings that keep the server to itself, whatever the source's were: docs/restore-tests.md
/// "Isolation". They go on the command line, where they beat every file.
std::vector<ServerSetting> isolation_settings(const ScratchServerPlan& plan);
/// The other settings: sizes that recovery needs (from pg_control), and little memory.
std::vector<ServerSetting> size_settings(const ScratchServerPlan& plan);
/// The whole of postgresql.conf: both, and recovery to its target.
std::string scratch_config(const ScratchServerPlan& plan);
/// Nobody but who may enter the socket's directory.
std::string scratch_hba();

/// The restore_command: the usual one, with tablespaces contained.
std::string scratch_restore_command(const RecoverySettings& recovery);

/// postgres and its arguments, as a server or (`database` given) as a single-user backend.
std::vector<std::string> server_command(const std::string& postgres, const ScratchServerPlan& plan);
std::vector<std::string> single_user_command(const std::string& postgres,
                                             const ScratchServerPlan& plan,
                                             const std::string& database);

/// What every connection asks for; it beats what ALTER ROLE or ALTER DATABASE have set. The value
/// of libpq's "options".
std::string session_options(uint32_t major, bool superuser);

}  // namespace ark
