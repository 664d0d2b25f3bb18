#include "cli/child/recoverability.hpp"

#include "cli/restore_wal.hpp"
#include "core/recoverability/can_recover.hpp"
#include "core/recoverability/survey.hpp"

namespace ark {

namespace {

// Of a range's or a gap's backups so many are named that they fit a message.
constexpr size_t kMostNamed = 2000;

// nullopt where the server does not write into this repository itself.
std::optional<ThisServer> server_of(const Opening& opening, const Message& request) {
    if (!request.has("timeline"))
        return std::nullopt;
    const auto flushed = parse_lsn(request.token("lsn"));
    if (!flushed)
        throw Error(ErrorCode::protocol_violation, "invalid value of \"lsn\" from the server");
    return ThisServer{opening.cluster.data_directory,
                      static_cast<TimelineId>(request.number("timeline")), *flushed,
                      opening.cluster.wal_segment_size};
}

void send_warnings(Channel& channel, const RecoverabilitySurvey& survey) {
    for (const std::string& what : survey.warnings()) {
        channel.send(message_of(
            "warning", Error(ErrorCode::corrupt, "part of the repository could not be looked at",
                             what + ".")));
    }
    for (const Error& damage : survey.damaged_ends()) {
        Error told = damage;
        told.message += ": recovery ends before it";
        channel.send(message_of("warning", told));
    }
}

void add_time(Message& message, const char* key, const std::optional<UnixMicros>& time) {
    if (time)
        message.add_number(key, static_cast<uint64_t>(*time));
}

void add_lsn(Message& message, const char* key, const std::optional<Lsn>& lsn) {
    if (lsn)
        message.add_token(key, to_text(*lsn));
}

Message message_of(const RecoverableRange& range) {
    Message message("range");
    message.add_number("timeline", range.timeline)
        .add_token("first_backup", range.first_backup)
        .add_token("last_backup", range.last_backup)
        .add_number("backups", range.backups)
        .add_token("last_segment", range.last_segment)
        .add_number("open", range.is_open ? 1 : 0);
    add_time(message, "from_time", range.from_time);
    add_lsn(message, "from_lsn", range.from_lsn);
    add_time(message, "until_time", range.until_time);
    add_lsn(message, "until_lsn", range.until_lsn);
    add_lsn(message, "wal_end", range.wal_end);
    return message;
}

Message message_of(const WalGap& gap) {
    std::string backups;
    for (size_t i = 0; i < gap.backups.size() && i < kMostNamed; ++i)
        backups += (i > 0 ? "," : "") + gap.backups[i];
    Message message("gap");
    message.add_number("timeline", gap.timeline)
        .add_token("first", segment_name({gap.timeline, gap.first}, gap.segment_size))
        .add_token("last", segment_name({gap.timeline, gap.last}, gap.segment_size))
        .add_token("start", to_text(gap.start()))
        .add_token("end", to_text(gap.end()))
        .add_number("segments", gap.segments())
        .add_number("bytes", gap.segments() * gap.segment_size)
        .add_text("backups", backups);
    if (gap.in_pg_wal)
        message.add_number("in_pg_wal", *gap.in_pg_wal ? 1 : 0);
    return message;
}

Message message_of(const RecoveryAnswer& answer) {
    Message message("recovery");
    message.add_number("possible", answer.possible ? 1 : 0)
        .add_text("detail", answer.detail)
        .add_text("hint", answer.hint);
    if (!answer.possible)
        return message;
    message.add_token("backup_id", answer.backup_id)
        .add_number("timeline", answer.timeline)
        .add_number("backup_bytes", answer.backup_bytes)
        .add_number("database_bytes", answer.database_bytes)
        .add_number("wal_segments", answer.wal_segments)
        .add_number("wal_bytes", answer.wal_bytes)
        .add_number("replay_bytes", answer.replay_bytes);
    add_time(message, "last_transaction", answer.last_transaction);
    add_time(message, "next_transaction", answer.next_transaction);
    return message;
}

}  // namespace

void send_ranges(Channel& channel, const Opening& opening, const Message& request) {
    RecoverabilitySurvey survey(*opening.repository, opening.cluster_name(),
                                server_of(opening, request));
    for (const RecoverableRange& range : survey.ranges())
        channel.send(message_of(range));
    send_warnings(channel, survey);
    channel.send(Message("end"));
}

void send_gaps(Channel& channel, const Opening& opening, const Message& request) {
    RecoverabilitySurvey survey(*opening.repository, opening.cluster_name(),
                                server_of(opening, request));
    for (const WalGap& gap : survey.gaps())
        channel.send(message_of(gap));
    send_warnings(channel, survey);
    channel.send(Message("end"));
}

void send_recovery(Channel& channel, const Opening& opening, const Message& request) {
    RepositoryArchivedWal wal(*opening.repository, opening.cluster_name());
    channel.send(message_of(can_recover(*opening.repository, wal, opening.cluster_name(),
                                        static_cast<UnixMicros>(request.number("target")))));
}

}  // namespace ark
