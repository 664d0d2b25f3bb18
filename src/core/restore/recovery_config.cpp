#include "core/restore/recovery_config.hpp"

#include <array>
#include <set>
#include <utility>
#include <vector>

#include "core/base/error.hpp"
#include "core/pgdata/config_text.hpp"

namespace ark {

namespace {

constexpr std::array kActions{std::pair{TargetAction::pause, "pause"},
                              std::pair{TargetAction::promote, "promote"},
                              std::pair{TargetAction::shutdown, "shutdown"}};

// What an older recovery or standby has left in postgresql.auto.conf, and where the source kept
// files.
const std::set<std::string>& conflicting_settings() {
    static const std::set<std::string> names{"restore_command",
                                             "archive_cleanup_command",
                                             "recovery_end_command",
                                             "recovery_target",
                                             "recovery_target_action",
                                             "recovery_target_inclusive",
                                             "recovery_target_lsn",
                                             "recovery_target_name",
                                             "recovery_target_time",
                                             "recovery_target_xid",
                                             "recovery_target_timeline",
                                             "recovery_min_apply_delay",
                                             "primary_conninfo",
                                             "primary_slot_name",
                                             "promote_trigger_file",
                                             "data_directory",
                                             "config_file",
                                             "hba_file",
                                             "ident_file",
                                             "external_pid_file"};
    return names;
}

using Setting = std::pair<std::string, std::string>;

std::string timeline_of(const RecoverySettings& s) {
    return s.standby ? "latest" : std::to_string(s.timeline);
}

const char* on_error_of(const RecoverySettings& s) {
    if (!s.standby)
        return "abort";
    return s.primary_conninfo.empty() ? "wait" : "not-found";
}

std::vector<Setting> recovery_settings(const RecoverySettings& s) {
    // archive_cleanup_command: the archive is the repository's, and others need it too. What a
    // standby has fetched the server removes by itself.
    std::vector<Setting> all{{"restore_command", restore_command(s)},
                             {"archive_cleanup_command", ""},
                             {"recovery_end_command", ""},
                             {"recovery_min_apply_delay", "0"},
                             {"primary_conninfo", s.primary_conninfo},
                             {"primary_slot_name", ""},
                             {"recovery_target_timeline", timeline_of(s)},
                             {"recovery_target_action", name_of(s.action)},
                             {"recovery_target_inclusive", s.target.exclusive ? "off" : "on"}};
    if (s.standby)
        all.emplace_back("hot_standby", "on");
    if (!s.read_ahead)
        all.emplace_back("recovery_prefetch", "off");
    const Setting chosen = target_setting(s.target);
    for (const char* name : {"recovery_target", "recovery_target_lsn", "recovery_target_name",
                             "recovery_target_time", "recovery_target_xid"}) {
        if (name != chosen.first)
            all.emplace_back(name, "");
    }
    if (!chosen.first.empty())
        all.push_back(chosen);
    return all;
}

}  // namespace

const char* name_of(TargetAction action) noexcept {
    for (const auto& [value, name] : kActions) {
        if (value == action)
            return name;
    }
    return "";
}

TargetAction parse_target_action(const std::string& text) {
    for (const auto& [value, name] : kActions) {
        if (text == name)
            return value;
    }
    throw Error(ErrorCode::invalid_argument, "invalid target action \"" + text + "\"", {},
                "It is pause, promote or shutdown.");
}

std::pair<std::string, std::string> target_setting(const RecoveryTarget& target) {
    switch (target.kind) {
        case TargetKind::latest:
            break;
        case TargetKind::immediate:
            return {"recovery_target", "immediate"};
        case TargetKind::time:
            return {"recovery_target_time", to_postgres_time(target.time)};
        case TargetKind::xid:
            // The server compares 32 bits; the epoch is not part of what it reads.
            return {"recovery_target_xid", std::to_string(static_cast<uint32_t>(target.xid))};
        case TargetKind::lsn:
            return {"recovery_target_lsn", to_text(target.lsn)};
        case TargetKind::name:
            return {"recovery_target_name", target.name};
    }
    return {};
}

std::string restore_command(const RecoverySettings& s) {
    std::vector<std::string> words{
        s.program, "wal-get",           "--repo",       s.repository_url, "--cluster",
        s.cluster, "--target-timeline", timeline_of(s), "--on-error",     on_error_of(s)};
    if (!s.key.file.empty())
        words.insert(words.end(), {"--key-file", s.key.file});
    if (!s.key.command.empty())
        words.insert(words.end(), {"--key-command", s.key.command});
    if (s.require_encryption)
        words.emplace_back("--require-encryption");
    if (s.as_of)
        words.insert(words.end(), {"--as-of-bucket-time", to_iso8601(*s.as_of)});
    std::string command;
    for (const std::string& word : words) {
        for (const char c : quote_shell_word(word))
            command += c == '%' ? "%%" : std::string(1, c);
        command += ' ';
    }
    return command + "%f \"%p\"";
}

std::string recovery_auto_conf(std::string_view old_content, const RecoverySettings& settings,
                               const std::string& backup_id) {
    std::string out = edit_config(
        old_content,
        [](const ConfigLine& parsed, std::string_view line) -> std::optional<std::string> {
            if (!conflicting_settings().contains(parsed.name))
                return std::nullopt;
            return commented_out(line, "it belongs to the cluster that was backed up");
        });
    if (!out.empty() && !out.ends_with('\n'))
        out += '\n';
    out +=
        "# Written by pg_ark restore from backup " + backup_id +
        (settings.standby ? ", for a standby.\n" : ". Without effect once recovery has ended.\n");
    for (const auto& [name, value] : recovery_settings(settings)) {
        out += name + " = " + quote_config_value(value) + "\n";
    }
    return out;
}

}  // namespace ark
