#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/clock.hpp"
#include "core/pgdata/wal_name.hpp"

namespace ark {

enum class TargetKind { latest, immediate, time, xid, lsn, name };

/// Where recovery is to stop.
struct RecoveryTarget {
    TargetKind kind = TargetKind::latest;
    UnixMicros time = 0;     ///< kind time
    uint64_t xid = 0;        ///< kind xid: as the user gave it, with or without its epoch
    Lsn lsn = 0;             ///< kind lsn; kind name: where the restore point was found
    std::string name;        ///< kind name
    bool exclusive = false;  ///< stop before what the target names (time, xid, lsn)

    bool operator==(const RecoveryTarget&) const = default;
};

/// The user's words, each absent or as given.
struct TargetWords {
    std::optional<std::string> time = {};
    std::optional<std::string> xid = {};
    std::optional<std::string> lsn = {};
    std::optional<std::string> name = {};
    std::optional<std::string> target = {};  ///< "latest" or "immediate"
    bool exclusive = false;
};

/// A time without a zone is in the caller's (TZ). Error: invalid_argument for words that do not
/// parse, two targets at once, or `exclusive` where it means nothing; target_unreachable for a time
/// later than `now`.
RecoveryTarget parse_target(const TargetWords& words, UnixMicros now);

/// "time 2026-11-20 02:15:00+00 (exclusive)": for messages.
std::string describe(const RecoveryTarget& target);

/// "2026-11-20 02:15:00.123456+00", as PostgreSQL reads it whatever its time zone; without the
/// fraction when it is zero.
std::string to_postgres_time(UnixMicros time);

/// Which way through the timelines recovery takes.
struct TimelineWish {
    enum class Kind { latest, current, number };
    Kind kind = Kind::latest;
    TimelineId number = 0;

    bool operator==(const TimelineWish&) const = default;
};

/// "latest", "current" (the backup's own), a number (decimal, or hexadecimal after 0x). Error:
/// invalid_argument.
TimelineWish parse_timeline(const std::string& text);

}  // namespace ark
