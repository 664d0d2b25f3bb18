#include "core/restore/recovery_config.hpp"

#include <map>
#include <sstream>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "core/pgdata/config_text.hpp"

namespace ark {
namespace {

RecoverySettings settings() {
    RecoverySettings s;
    s.program = "/usr/bin/pg_ark";
    s.repository_url = "file:///srv/ark";
    s.cluster = "7301";
    s.timeline = 3;
    return s;
}

// What the server would have set, in the order of the lines.
std::vector<ConfigLine> lines_of(const std::string& text) {
    std::vector<ConfigLine> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
        if (const auto parsed = parse_config_line(line))
            lines.push_back(*parsed);
    }
    return lines;
}

std::map<std::string, std::string> values_of(const std::string& text) {
    std::map<std::string, std::string> values;
    for (const ConfigLine& line : lines_of(text)) {
        EXPECT_TRUE(values.emplace(line.name, line.value).second) << line.name << " is set twice";
    }
    return values;
}

TEST(RestoreCommand, WordsAreQuoted) {
    EXPECT_EQ(restore_command(settings()),
              "'/usr/bin/pg_ark' 'wal-get' '--repo' 'file:///srv/ark' '--cluster' '7301' "
              "'--target-timeline' '3' '--on-error' 'abort' %f \"%p\"");
}

// The server replaces %f, %p, %r and %%: a percent sign of the URL must not be one of them.
TEST(RestoreCommand, PercentSignsAreDoubled) {
    RecoverySettings s = settings();
    s.repository_url = "file:///srv/a%20b";
    s.program = "/opt/it's 100% mine/pg_ark";
    const std::string command = restore_command(s);
    EXPECT_NE(command.find("'file:///srv/a%%20b'"), std::string::npos) << command;
    EXPECT_NE(command.find("'/opt/it'\\''s 100%% mine/pg_ark'"), std::string::npos) << command;
}

// Where the key is, and never the key.
TEST(RestoreCommand, SaysWhereTheKeyIs) {
    RecoverySettings s = settings();
    s.key.file = "/etc/ark's.key";
    std::string command = restore_command(s);
    EXPECT_NE(command.find("'--on-error' 'abort' '--key-file' '/etc/ark'\\''s.key' %f"),
              std::string::npos)
        << command;
    s.key = {{}, "vault read 100% | cat"};
    s.require_encryption = true;
    command = restore_command(s);
    EXPECT_NE(command.find("'--key-command' 'vault read 100%% | cat' '--require-encryption' %f"),
              std::string::npos)
        << command;
}

// With its zone: the server's shell may have another.
TEST(RestoreCommand, SaysWhosePastIsRead) {
    RecoverySettings s = settings();
    s.as_of = parse_time("2026-11-20 15:59:00.5+01", false);
    const std::string command = restore_command(s);
    EXPECT_NE(command.find("'--as-of-bucket-time' '2026-11-20T14:59:00.500000Z' %f"),
              std::string::npos)
        << command;
}

TEST(AutoConf, CommandSurvivesTheFile) {
    RecoverySettings s = settings();
    s.program = "/opt/it's/pg_ark";
    EXPECT_EQ(values_of(recovery_auto_conf("", s, "b")).at("restore_command"), restore_command(s));
}

TEST(AutoConf, EveryTargetIsSetAndOneCounts) {
    struct Row {
        TargetKind kind;
        const char* name;
        const char* value;
    };
    const Row table[] = {
        {TargetKind::latest, "", ""},
        {TargetKind::immediate, "recovery_target", "immediate"},
        {TargetKind::time, "recovery_target_time", "2026-11-20 02:15:00+00"},
        {TargetKind::xid, "recovery_target_xid", "731"},
        {TargetKind::lsn, "recovery_target_lsn", "1/A0000028"},
        {TargetKind::name, "recovery_target_name", "it's"},
    };
    for (const Row& row : table) {
        RecoverySettings s = settings();
        s.target.kind = row.kind;
        s.target.time = *parse_time("2026-11-20 02:15:00Z", false);
        s.target.xid = (7ULL << 32) + 731;
        s.target.lsn = 0x1A0000028;
        s.target.name = "it's";
        const std::string text = recovery_auto_conf("", s, "b");
        auto values = values_of(text);
        for (const char* name : {"recovery_target", "recovery_target_lsn", "recovery_target_name",
                                 "recovery_target_time", "recovery_target_xid"}) {
            ASSERT_TRUE(values.contains(name));
            EXPECT_EQ(values[name], std::string(name) == row.name ? row.value : "") << row.name;
        }
        // An empty one after it would unset it.
        if (*row.name != '\0') {
            EXPECT_EQ(lines_of(text).back().name, row.name);
        }
    }
}

TEST(AutoConf, TimelineActionInclusive) {
    RecoverySettings s = settings();
    s.target.kind = TargetKind::lsn;
    s.target.exclusive = true;
    s.action = TargetAction::promote;
    const auto values = values_of(recovery_auto_conf("", s, "b"));
    EXPECT_EQ(values.at("recovery_target_timeline"), "3");
    EXPECT_EQ(values.at("recovery_target_inclusive"), "off");
    EXPECT_EQ(values.at("recovery_target_action"), "promote");
}

TEST(AutoConf, AStandbyFollowsWhatIsNewest) {
    RecoverySettings s = settings();
    s.standby = true;
    auto values = values_of(recovery_auto_conf("", s, "b"));
    EXPECT_EQ(values["recovery_target_timeline"], "latest");
    EXPECT_EQ(values["primary_conninfo"], "");
    EXPECT_EQ(values["archive_cleanup_command"], "");
    EXPECT_EQ(values["hot_standby"], "on");
    EXPECT_NE(restore_command(s).find("'--target-timeline' 'latest' '--on-error' 'wait'"),
              std::string::npos);
    s.primary_conninfo = "host=primary password='it''s'";
    values = values_of(recovery_auto_conf("", s, "b"));
    EXPECT_EQ(values["primary_conninfo"], s.primary_conninfo);
    EXPECT_NE(restore_command(s).find("'--on-error' 'not-found'"), std::string::npos);
}

TEST(AutoConf, ReadingAheadIsLeftToTheServerUnlessItMustNot) {
    RecoverySettings s = settings();
    EXPECT_FALSE(values_of(recovery_auto_conf("", s, "b")).contains("recovery_prefetch"));
    s.read_ahead = false;
    EXPECT_EQ(values_of(recovery_auto_conf("", s, "b"))["recovery_prefetch"], "off");
}

TEST(AutoConf, WhatWasThereStaysButForRecovery) {
    const std::string old =
        "work_mem = '64MB'\n"
        "restore_command = 'cp /x/%f %p'\n"
        "primary_conninfo = 'host=old'\n"
        "hba_file = '/etc/pg_hba.conf'\n"
        "recovery_target_time = '2020-01-01'";
    const std::string text = recovery_auto_conf(old, settings(), "b");
    const auto values = values_of(text);
    EXPECT_EQ(values.at("work_mem"), "64MB");
    EXPECT_EQ(values.at("primary_conninfo"), "");
    EXPECT_EQ(values.at("restore_command"), restore_command(settings()));
    EXPECT_FALSE(values.contains("hba_file"));
    EXPECT_NE(text.find("#restore_command = 'cp /x/%f %p'"), std::string::npos);
}

TEST(TargetActionText, Words) {
    EXPECT_EQ(parse_target_action("pause"), TargetAction::pause);
    EXPECT_EQ(parse_target_action("shutdown"), TargetAction::shutdown);
    EXPECT_STREQ(name_of(TargetAction::promote), "promote");
    EXPECT_THROW(parse_target_action("explode"), Error);
}

}  // namespace
}  // namespace ark
