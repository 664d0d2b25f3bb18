#pragma once

#include <optional>
#include <string>
#include <utility>

#include "core/base/clock.hpp"
#include "core/pgdata/wal_name.hpp"
#include "core/repo/key_source.hpp"
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
    /// It follows the newest timeline for as long as it is a standby; timeline, target and action
    /// mean nothing then.
    bool standby = false;
    std::string primary_conninfo = {};  ///< where a standby streams from; empty: nowhere
    KeySource key = {};                 ///< where the encryption key comes from
    bool require_encryption = false;
    std::optional<UnixMicros> as_of = {};  ///< it reads the repository as of then
};

/// The command that fetches one WAL file, as the value of restore_command: words quoted for the
/// shell, "%" doubled for the server. When the repository does not answer it fails in a way that
/// stops recovery; a standby's waits, or lets the standby stream where it can.
std::string restore_command(const RecoverySettings& settings);

/// The setting that says where recovery stops, and its value; an empty name: no target.
std::pair<std::string, std::string> target_setting(const RecoveryTarget& target);

/// The content of postgresql.auto.conf: what was there, with recovery settings and paths of the
/// source commented out, and the new settings after it. Every target parameter is set, all but one
/// to empty: a value in postgresql.conf must not join in. The one that counts comes last, since the
/// server takes an empty one that follows for "no target".
std::string recovery_auto_conf(std::string_view old_content, const RecoverySettings& settings,
                               const std::string& backup_id);

}  // namespace ark
