#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/backup/host.hpp"
#include "test/support/fake_cluster.hpp"

namespace ark::test {

constexpr Lsn kStartLsn = 0x2000028;
constexpr Lsn kStopLsn = 0x4000100;

/// The SQL side of a backup, played from a script. `before` is told of each call ("start",
/// "control_file", "stop", "progress", "corrupt_page", "warning", "wait") and may throw.
class ScriptedHost final : public BackupHost {
 public:
    BackupStart start(const TableSink& tables) override {
        note("start");
        for (const TableState& table : tables_at_start)
            tables(table);
        return begun;
    }
    Bytes control_file() override {
        note("control_file");
        return control;
    }
    BackupStop stop(const TableSink& tables, const AnswerSink& answers) override {
        note("stop");
        for (const TableState& table : tables_at_stop)
            tables(table);
        for (const std::string& line : answered)
            answers(line);
        return ended;
    }
    void progress(const BackupProgress& progress) override {
        last_progress = progress;
        note("progress");
        note(std::string("progress ") + name_of(progress.phase));
    }
    void corrupt_page(const CorruptPage& page, const RelationPath& /*relation*/) override {
        corrupt.push_back(page);
        note("corrupt_page");
    }
    void audit_miss(const AuditMiss& miss) override {
        misses.push_back(miss);
        note("audit_miss");
    }
    void warning(const Error& warning) override {
        warnings.push_back(warning.message);
        note("warning");
    }
    void wait(int /*millis*/) override { note("wait"); }

    BackupStart begun{kStartLsn, 1};
    Bytes control = make_control_file();
    BackupStop ended{kStopLsn,         1,
                     1795140900000000, "START WAL LOCATION: 0/2000028\n",
                     "730:730:",       kStopLsn + 100};
    std::vector<std::string> answered;
    std::vector<TableState> tables_at_start;
    std::vector<TableState> tables_at_stop;
    std::function<void(const std::string& call)> before;
    std::map<std::string, int> calls;
    BackupProgress last_progress;
    std::vector<CorruptPage> corrupt;
    std::vector<AuditMiss> misses;
    std::vector<std::string> warnings;

 private:
    void note(const std::string& call) {
        ++calls[call];
        if (before)
            before(call);
    }
};

}  // namespace ark::test
