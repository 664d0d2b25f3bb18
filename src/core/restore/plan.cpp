#include "core/restore/plan.hpp"

#include <algorithm>
#include <charconv>
#include <set>

#include "core/base/error.hpp"
#include "core/pgdata/config_text.hpp"

namespace ark {

namespace {

constexpr uint64_t kXidSpace = 1ULL << 32;

bool take_number(std::string_view& text, uint64_t& out) {
    const auto result = std::from_chars(text.data(), text.data() + text.size(), out);
    if (result.ec != std::errc{})
        return false;
    text.remove_prefix(static_cast<size_t>(result.ptr - text.data()));
    return true;
}

bool take(std::string_view& text, char c) {
    if (text.empty() || text.front() != c)
        return false;
    text.remove_prefix(1);
    return true;
}

// The 64-bit id nearest to `reference` with these low 32 bits.
uint64_t widen_xid(uint64_t xid, uint64_t reference) {
    if (xid >= kXidSpace)
        return xid;
    uint64_t full = reference / kXidSpace * kXidSpace + xid;
    if (full > reference && full - reference > kXidSpace / 2 && full >= kXidSpace) {
        full -= kXidSpace;
    } else if (full < reference && reference - full > kXidSpace / 2) {
        full += kXidSpace;
    }
    return full;
}

std::string end_of(const BackupMarker& b) {
    return "backup " + b.backup_id + " ended at " + to_postgres_time(b.stopped_at) + ", LSN " +
           to_text(b.stop_lsn);
}

std::string without_trailing_slashes(std::string path) {
    while (path.size() > 1 && path.back() == '/')
        path.pop_back();
    return path;
}

void check_absolute(const std::string& path, const std::string& text) {
    if (path.starts_with('/') && path != "/" && path.find("/../") == std::string::npos &&
        !path.ends_with("/..")) {
        return;
    }
    throw Error(ErrorCode::invalid_argument, "invalid tablespace mapping \"" + text + "\"",
                "\"" + path + "\" is not an absolute path without \"..\".",
                "Write --tablespace-map OLD=NEW with two absolute directories.");
}

}  // namespace

std::optional<Snapshot> parse_snapshot(const std::string& text) {
    Snapshot out;
    std::string_view rest = text;
    if (!take_number(rest, out.xmin) || !take(rest, ':') || !take_number(rest, out.xmax) ||
        !take(rest, ':')) {
        return std::nullopt;
    }
    while (!rest.empty()) {
        uint64_t xid = 0;
        if (!out.running.empty() && !take(rest, ','))
            return std::nullopt;
        if (!take_number(rest, xid))
            return std::nullopt;
        out.running.push_back(xid);
    }
    return out;
}

bool ends_after(const Snapshot& snapshot, uint64_t xid) {
    const uint64_t full = widen_xid(xid, snapshot.xmax);
    if (full >= snapshot.xmax)
        return true;
    return std::find(snapshot.running.begin(), snapshot.running.end(), full) !=
           snapshot.running.end();
}

std::optional<std::string> why_not(const BackupMarker& b, const RecoveryTarget& target) {
    switch (target.kind) {
        case TargetKind::latest:
        case TargetKind::immediate:
            return std::nullopt;
        case TargetKind::time:
            // A transaction that ended at the very time of the stop may lie before the stop.
            if (b.stopped_at < target.time)
                return std::nullopt;
            if (b.stopped_at == target.time && !target.exclusive)
                return std::nullopt;
            break;
        case TargetKind::lsn:
        case TargetKind::name:
            if (b.stop_lsn <= target.lsn)
                return std::nullopt;
            break;
        case TargetKind::xid: {
            const auto snapshot = parse_snapshot(b.stop_snapshot);
            if (!snapshot) {
                return "backup " + b.backup_id +
                       " does not tell which transactions were running at its end";
            }
            if (ends_after(*snapshot, target.xid))
                return std::nullopt;
            return "transaction " + std::to_string(target.xid) + " had ended before " + end_of(b);
        }
    }
    return end_of(b) + ", which is after the target";
}

std::vector<BackupMarker> backups_on(const TimelineHistory& way,
                                     const std::vector<BackupMarker>& backups) {
    std::vector<BackupMarker> usable;
    std::copy_if(backups.begin(), backups.end(), std::back_inserter(usable), [&](const auto& b) {
        return way.contains_range(b.timeline, b.start_lsn, b.stop_lsn);
    });
    return usable;
}

const BackupMarker& newest_reaching(const std::vector<BackupMarker>& usable,
                                    const RecoveryTarget& target) {
    const auto found = std::find_if(usable.rbegin(), usable.rend(),
                                    [&](const auto& b) { return !why_not(b, target); });
    if (found != usable.rend())
        return *found;
    const BackupMarker& earliest = usable.front();
    throw UnreachableWish(
        "no backup leads to " + describe(target),
        "The earliest " + end_of(earliest) + ": recovery can stop there or later.",
        "Choose a later target, or --target immediate --backup " + earliest.backup_id + ".");
}

const BackupMarker& backup_of_id(const std::vector<BackupMarker>& backups, const std::string& id) {
    const auto found = std::find_if(backups.begin(), backups.end(),
                                    [&](const auto& b) { return b.backup_id == id; });
    if (found != backups.end())
        return *found;
    std::string all;
    constexpr size_t kMaxListed = 20;
    const size_t first = backups.size() > kMaxListed ? backups.size() - kMaxListed : 0;
    for (size_t i = first; i < backups.size(); ++i) {
        all += (all.empty() ? "" : ", ") + backups[i].backup_id;
    }
    throw Error(ErrorCode::not_found, "backup \"" + id + "\" does not exist",
                first > 0 ? "The newest are: " + all + "." : "There are: " + all + ".",
                "\"pg_ark list\" shows all backups with their times.");
}

std::pair<std::string, std::string> parse_tablespace_map(const std::string& text) {
    std::string from;
    size_t i = 0;
    for (; i < text.size() && text[i] != '='; ++i) {
        if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] == '=')
            ++i;
        from.push_back(text[i]);
    }
    std::string to = i < text.size() ? text.substr(i + 1) : std::string();
    check_absolute(from, text);
    check_absolute(to, text);
    return {without_trailing_slashes(from), without_trailing_slashes(to)};
}

std::string hint_to_map(const std::string& original) {
    std::string from;
    for (const char c : original) {
        if (c == '=')
            from += '\\';
        from += c;
    }
    return "Give it another place with --tablespace-map " + shell_word(from) + "=NEW.";
}

bool is_inside(const std::string& path, const std::string& directory) {
    if (directory == "/")
        return true;
    return path == directory || path.starts_with(directory + "/");
}

std::vector<TablespaceTarget> map_tablespaces(
    const std::vector<Tablespace>& tablespaces,
    const std::vector<std::pair<std::string, std::string>>& map,
    const std::string& data_directory) {
    std::vector<TablespaceTarget> targets;
    targets.reserve(tablespaces.size());
    for (const Tablespace& t : tablespaces) {
        targets.push_back({t.oid, t.location, without_trailing_slashes(t.location)});
    }
    std::set<std::string> mapped;
    for (const auto& entry : map) {
        const std::string& from = entry.first;
        const auto found = std::find_if(targets.begin(), targets.end(), [&](const auto& t) {
            return without_trailing_slashes(t.original) == from;
        });
        if (found == targets.end()) {
            std::string all;
            for (const auto& t : targets)
                all += (all.empty() ? "" : ", ") + t.original;
            throw Error(ErrorCode::invalid_argument,
                        "no tablespace of the backup is at \"" + from + "\"",
                        all.empty() ? "The backup has no tablespaces."
                                    : "Its tablespaces are at: " + all + ".");
        }
        if (!mapped.insert(from).second) {
            throw Error(ErrorCode::invalid_argument, "tablespace \"" + from + "\" is mapped twice");
        }
        found->location = entry.second;
    }
    for (const auto& t : targets) {
        if (is_inside(t.location, data_directory) || is_inside(data_directory, t.location)) {
            throw Error(ErrorCode::refused,
                        "tablespace location \"" + t.location + "\" and data directory \"" +
                            data_directory + "\" contain each other",
                        {}, hint_to_map(t.original));
        }
        for (const auto& other : targets) {
            if (other.oid == t.oid || !is_inside(t.location, other.location))
                continue;
            throw Error(ErrorCode::refused,
                        "two tablespaces would share the location \"" + t.location + "\"",
                        "Tablespaces " + std::to_string(t.oid) + " and " +
                            std::to_string(other.oid) + " need directories of their own.",
                        "Use --tablespace-map OLD=NEW for each.");
        }
    }
    return targets;
}

}  // namespace ark
