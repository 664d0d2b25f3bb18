#include "core/drill/server_settings.hpp"

#include <algorithm>

#include "core/pgdata/config_text.hpp"
#include "core/pgdata/server_version.hpp"

namespace ark {

namespace {

std::string joined(const std::vector<std::string>& words) {
    std::string out;
    for (const std::string& word : words)
        out += (out.empty() ? "" : ",") + word;
    return out;
}

// A list of directories is read like a list of identifiers.
std::string quoted_list_element(const std::string& path) {
    std::string out = "\"";
    for (const char c : path)
        out += c == '"' ? "\"\"" : std::string(1, c);
    return out + "\"";
}

std::string megabytes(uint64_t count) {
    return std::to_string(count) + "MB";
}

// WAL behind the backup may be of a server that was started again with room for more.
uint32_t prepared_transactions(const ScratchServerPlan& plan) {
    constexpr uint32_t kLater = 200;
    const uint32_t own = plan.control.max_prepared_transactions;
    return plan.recovery.target.kind == TargetKind::immediate ? own : std::max(own, kLater);
}

void append_settings(std::vector<std::string>& command, const ScratchServerPlan& plan) {
    std::vector<ServerSetting> settings = isolation_settings(plan);
    for (ServerSetting& setting : size_settings(plan))
        settings.push_back(std::move(setting));
    for (const auto& [name, value] : settings) {
        command.emplace_back("-c");
        command.push_back(name + "=" + value);
    }
}

}  // namespace

std::vector<ServerSetting> isolation_settings(const ScratchServerPlan& plan) {
    std::vector<ServerSetting> out{
        {"config_file", plan.config_directory + "/postgresql.conf"},
        {"hba_file", plan.config_directory + "/pg_hba.conf"},
        {"ident_file", plan.config_directory + "/pg_ident.conf"},
        {"external_pid_file", ""},
        {"listen_addresses", ""},
        {"port", "5432"},
        {"unix_socket_directories", quoted_list_element(plan.socket_directory)},
        {"unix_socket_permissions", "0700"},
        {"unix_socket_group", ""},
        {"bonjour", "off"},
        {"ssl", "off"},
        {"archive_mode", "off"},
        {"archive_command", ""},
        {"archive_library", ""},
        {"archive_cleanup_command", ""},
        {"recovery_end_command", ""},
        {"primary_conninfo", ""},
        {"primary_slot_name", ""},
        {"synchronous_standby_names", ""},
        {"hot_standby", "off"},
        {"max_wal_senders", "0"},
        {"max_logical_replication_workers", "0"},
        {"logging_collector", "off"},
        {"log_destination", "stderr"},
        {"shared_preload_libraries", joined(plan.libraries)},
        {"session_preload_libraries", ""},
        {"local_preload_libraries", ""},
        {"restart_after_crash", "off"},
        {"autovacuum", "off"},
        {"jit", "off"},
        {"allow_in_place_tablespaces", "on"},  // what containment makes of CREATE TABLESPACE
        {"default_tablespace", ""},
        {"temp_tablespaces", ""},
        {"zero_damaged_pages", "off"},
        {"ignore_checksum_failure", "off"},
        {"dynamic_shared_memory_type", "mmap"},  // below the data directory: goes with it
        {"cluster_name", "pg_ark drill"},
    };
    if (plan.major >= kFirstWithSlotSync)
        out.emplace_back("sync_replication_slots", "off");
    if (plan.major >= kFirstWithWalSummaries)
        out.emplace_back("summarize_wal", "off");
    if (plan.major >= kFirstWithEventTriggerSwitch)
        out.emplace_back("event_triggers", "off");
    return out;
}

std::vector<ServerSetting> size_settings(const ScratchServerPlan& plan) {
    constexpr uint64_t kSmallWal = 256;
    const uint64_t two_segments = 2 * (plan.control.wal_segment_size >> 20);
    const int each = std::max(plan.memory_mb / std::max(plan.jobs, 1), 1);
    std::vector<ServerSetting> out{
        // Prepared transactions and their locks have to find room again.
        {"max_connections",
         std::to_string(std::max<uint32_t>(plan.control.max_connections,
                                           static_cast<uint32_t>(plan.jobs) + 10))},
        {"max_prepared_transactions", std::to_string(prepared_transactions(plan))},
        {"max_locks_per_transaction",
         std::to_string(std::max<uint32_t>(plan.control.max_locks_per_transaction, 64))},
        // Replaying a subscriber's commits takes a place for each replication origin.
        {"max_replication_slots", "1000"},
        {"max_worker_processes", "0"},  // of a library: a scheduler would run its jobs here
        {"max_parallel_workers", "0"},
        {"max_parallel_workers_per_gather", "0"},
        {"max_parallel_maintenance_workers", "0"},
        {"shared_buffers", megabytes(static_cast<uint64_t>(std::max(plan.memory_mb / 2, 1)))},
        {"maintenance_work_mem", megabytes(static_cast<uint64_t>(each))},
        {"huge_pages", "off"},
        {"min_wal_size", megabytes(two_segments)},
        {"max_wal_size", megabytes(std::max(two_segments, kSmallWal))},
        {"wal_level", "replica"},
        {"recovery_prefetch", "off"},  // no segment behind the backup's end matters
        {"fsync", "off"},
        {"synchronous_commit", "off"},
        {"lc_messages", "C"},
        {"timezone", "GMT"},
        {"log_timezone", "GMT"},
        {"log_line_prefix", "%m [%p] "},
    };
    if (plan.major >= kFirstWithOriginSetting)
        out.emplace_back("max_active_replication_origins", "1000");
    if (plan.major >= kFirstWithIoMethod)
        out.emplace_back("io_method", "sync");  // no workers, and none of their memory
    return out;
}

std::string scratch_restore_command(const RecoverySettings& recovery) {
    std::string command = restore_command(recovery);
    // Before the file's name and place, which are its last words.
    const size_t at = command.rfind("%f \"%p\"");
    // Contained segments need their neighbours, which the spool would have to keep.
    return command.insert(at, "--contain-tablespaces --prefetch 0 ");
}

std::string scratch_config(const ScratchServerPlan& plan) {
    std::string out = "# A restore test of pg_ark: nothing here is the source's.\n";
    const auto add = [&](const ServerSetting& setting) {
        out += setting.first + " = " + quote_config_value(setting.second) + "\n";
    };
    for (const ServerSetting& setting : isolation_settings(plan)) {
        if (setting.first != "config_file")
            add(setting);
    }
    for (const ServerSetting& setting : size_settings(plan))
        add(setting);
    add({"restore_command", scratch_restore_command(plan.recovery)});
    add({"recovery_target_timeline", std::to_string(plan.recovery.timeline)});
    add({"recovery_target_action", "promote"});
    const ServerSetting target = target_setting(plan.recovery.target);
    if (!target.first.empty())
        add(target);
    add({"recovery_target_inclusive", plan.recovery.target.exclusive ? "off" : "on"});
    return out;
}

std::string scratch_hba() {
    return "local all all trust\n";
}

std::vector<std::string> server_command(const std::string& postgres,
                                        const ScratchServerPlan& plan) {
    std::vector<std::string> out{postgres, "-D", plan.data_directory};
    append_settings(out, plan);
    return out;
}

std::vector<std::string> single_user_command(const std::string& postgres,
                                             const ScratchServerPlan& plan,
                                             const std::string& database) {
    std::vector<std::string> out{postgres, "--single", "-D", plan.data_directory};
    append_settings(out, plan);
    out.push_back(database);
    return out;
}

std::string session_options(uint32_t major, bool superuser) {
    std::string out;
    for (const char* setting :
         {"local_preload_libraries=", "search_path=pg_catalog,pg_temp", "role=none",
          "statement_timeout=0", "lock_timeout=0", "idle_in_transaction_session_timeout=0",
          "default_transaction_read_only=off", "default_transaction_deferrable=off",
          "default_transaction_isolation=read\\ committed", "row_security=off",
          "client_min_messages=warning",
          "default_tablespace=", "temp_tablespaces=", "synchronize_seqscans=off"}) {
        out += std::string(out.empty() ? "-c " : " -c ") + setting;
    }
    if (major >= kFirstWithTransactionTimeout)
        out += " -c transaction_timeout=0";
    if (superuser)
        out += " -c session_replication_role=replica -c session_preload_libraries=";
    return out;
}

}  // namespace ark
