#pragma once

#include <string>

#include "core/pgdata/wal_name.hpp"
#include "core/restore/target.hpp"

namespace ark {

/// What the restored server does when it has reached its target.
enum class TargetAction { pause, promote, shutdown };
const char* name_of(TargetAction action) noexcept;
/// Error: invalid_argument.
TargetAction parse_target_action(const std::string& text);

/// All that the restored server's recovery is told.
struct RecoverySettings {
    std::string program;  ///< absolute path of this executable
    std::string repository_url;
    std::string cluster;      ///< its directory in the repository
    TimelineId timeline = 1;  ///< whose history recovery follows
    RecoveryTarget target;
    TargetAction action = TargetAction::pause;
    bool read_ahead = true;  ///< false: the server is to ask for no segment before it needs it
};

/// The command that fetches one WAL file, as the value of restore_command: words quoted for the
/// shell,
/// "%" doubled for the server. It fails in a way that stops recovery when the repository does not
/// answer.
std::string restore_command(const RecoverySettings& settings);

/// The content of postgresql.auto.conf: what was there, with recovery settings and paths of the
/// source commented out, and the new settings after it. Every target parameter is set, all but one
/// to empty: a value in postgresql.conf must not join in. The one that counts comes last, since the
/// server takes an empty one that follows for "no target".
std::string recovery_auto_conf(std::string_view old_content, const RecoverySettings& settings,
                               const std::string& backup_id);

}  // namespace ark
