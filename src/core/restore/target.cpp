#include "core/restore/target.hpp"

#include <charconv>

#include "core/base/error.hpp"

namespace ark {

namespace {

constexpr const char* kTimeHint =
    "Write it as '2026-11-20 14:03:00' (local time) or '2026-11-20 14:03:00+02'.";
// MAXFNAMELEN in src/include/access/xlog_internal.h, with its terminating zero.
constexpr size_t kMaxRestorePointName = 63;

std::optional<uint64_t> parse_number(std::string_view text, int base) {
    uint64_t value = 0;
    const char* end = text.data() + text.size();
    const auto result = std::from_chars(text.data(), end, value, base);
    if (text.empty() || result.ec != std::errc{} || result.ptr != end)
        return std::nullopt;
    return value;
}

Error invalid(const std::string& what, const std::string& text, const std::string& hint) {
    return {ErrorCode::invalid_argument, "invalid " + what + " \"" + text + "\"", {}, hint};
}

void take_time(const std::string& text, UnixMicros now, RecoveryTarget& out) {
    const auto time = parse_time(text, true);
    if (!time)
        throw invalid("target time", text, kTimeHint);
    if (*time > now) {
        throw Error(
            ErrorCode::target_unreachable, "target time \"" + text + "\" is in the future",
            "That is " + to_postgres_time(*time) + "; it is now " + to_postgres_time(now) + ".",
            "Use --target latest to recover all there is.");
    }
    out.kind = TargetKind::time;
    out.time = *time;
}

void take_xid(const std::string& text, RecoveryTarget& out) {
    const auto xid = parse_number(text, 10);
    // 0 is invalid, 1 and 2 are PostgreSQL's own (src/include/access/transam.h).
    constexpr uint64_t kFirstNormalXid = 3;
    if (!xid || *xid < kFirstNormalXid) {
        throw invalid("target transaction id", text,
                      "Write the number that pg_current_xact_id() gave.");
    }
    out.kind = TargetKind::xid;
    out.xid = *xid;
}

void take_lsn(const std::string& text, RecoveryTarget& out) {
    const auto lsn = parse_lsn(text);
    if (!lsn)
        throw invalid("target LSN", text, "Write it as 0/2000028.");
    out.kind = TargetKind::lsn;
    out.lsn = *lsn;
}

void take_name(const std::string& text, RecoveryTarget& out) {
    if (text.empty() || text.size() > kMaxRestorePointName) {
        throw invalid("restore point name", text, "It has 1 to 63 bytes.");
    }
    out.kind = TargetKind::name;
    out.name = text;
}

void take_word(const std::string& text, RecoveryTarget& out) {
    if (text == "latest") {
        out.kind = TargetKind::latest;
    } else if (text == "immediate") {
        out.kind = TargetKind::immediate;
    } else {
        throw invalid("target", text,
                      "It is latest or immediate; use --target-time, --target-lsn, --target-xid or "
                      "--target-name for others.");
    }
}

}  // namespace

RecoveryTarget parse_target(const TargetWords& words, UnixMicros now) {
    const int given = words.time.has_value() + words.xid.has_value() + words.lsn.has_value() +
                      words.name.has_value() + words.target.has_value();
    if (given > 1) {
        throw Error(ErrorCode::invalid_argument, "more than one recovery target was given", {},
                    "Give one of --target-time, --target-xid, --target-lsn, --target-name and "
                    "--target.");
    }
    RecoveryTarget out;
    if (words.time)
        take_time(*words.time, now, out);
    if (words.xid)
        take_xid(*words.xid, out);
    if (words.lsn)
        take_lsn(*words.lsn, out);
    if (words.name)
        take_name(*words.name, out);
    if (words.target)
        take_word(*words.target, out);
    const bool takes_exclusive = words.time || words.xid || words.lsn;
    if (words.exclusive && !takes_exclusive) {
        throw Error(ErrorCode::invalid_argument,
                    "--target-exclusive needs a target time, transaction id or LSN");
    }
    out.exclusive = words.exclusive;
    return out;
}

std::string to_postgres_time(UnixMicros time) {
    std::string text = to_iso8601(time);  // 2026-11-20T02:15:00.123456Z
    text[10] = ' ';
    text.pop_back();
    if (text.ends_with(".000000"))
        text.resize(text.size() - 7);
    return text + "+00";
}

std::string describe(const RecoveryTarget& target) {
    const std::string suffix = target.exclusive ? " (exclusive)" : "";
    switch (target.kind) {
        case TargetKind::latest:
            return "the end of the archived WAL";
        case TargetKind::immediate:
            return "the end of the backup";
        case TargetKind::time:
            return "time " + to_postgres_time(target.time) + suffix;
        case TargetKind::xid:
            return "transaction " + std::to_string(target.xid) + suffix;
        case TargetKind::lsn:
            return "LSN " + to_text(target.lsn) + suffix;
        case TargetKind::name:
            return "restore point \"" + target.name + "\"";
    }
    return {};
}

TimelineWish parse_timeline(const std::string& text) {
    if (text == "latest")
        return {TimelineWish::Kind::latest, 0};
    if (text == "current")
        return {TimelineWish::Kind::current, 0};
    const bool hexadecimal = text.starts_with("0x") || text.starts_with("0X");
    const auto number =
        hexadecimal ? parse_number(std::string_view(text).substr(2), 16) : parse_number(text, 10);
    if (!number || *number == 0 || *number > UINT32_MAX) {
        throw invalid("timeline", text, "It is latest, current or a number from 1.");
    }
    return {TimelineWish::Kind::number, static_cast<TimelineId>(*number)};
}

}  // namespace ark
