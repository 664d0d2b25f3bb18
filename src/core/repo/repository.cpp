#include "core/repo/repository.hpp"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include "core/base/error.hpp"
#include "core/repo/json_text.hpp"
#include "core/repo/probe.hpp"
#include "core/repo/vault_store.hpp"
#include "core/store/create_race.hpp"
#include "core/store/local.hpp"

namespace ark {

namespace {

using nlohmann::json;

constexpr const char* kMarkName = "ark.json";
constexpr int kFormat = 1;
constexpr uint64_t kMarkLimit = 64 * 1024;

std::string random_uuid() {
    std::array<std::byte, 16> bytes{};
    if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
        throw system_error(errno, "could not get random bytes");
    }
    bytes[6] = (bytes[6] & std::byte{0x0F}) | std::byte{0x40};  // version 4
    bytes[8] = (bytes[8] & std::byte{0x3F}) | std::byte{0x80};  // variant of RFC 4122
    std::string text = to_hex(bytes);
    for (const size_t at : {8, 13, 18, 23})
        text.insert(at, "-");
    return text;
}

std::string id_of_mark(ByteView content, const std::string& url) {
    return with_parsed_json(as_text(content), url + "/" + kMarkName, [&](const json& j) {
        if (member<int>(j, "pg_ark_repository") != kFormat) {
            throw Error(ErrorCode::unsupported,
                        "repository \"" + url + "\" has a format that this version does not read",
                        "It has format " + j.at("pg_ark_repository").dump() +
                            ", this version reads format 1.",
                        "Use a newer pg_ark.");
        }
        // It goes into messages of the child's protocol, and into names that the module keeps.
        std::string id = member<std::string>(j, "repository_id");
        if (!is_valid_name_part(id))
            throw json::type_error::create(302, "repository_id: not an identifier", nullptr);
        return id;
    });
}

// That nothing is overwritten rests on the store's word: it is tried once, before anything is kept
// there.
void check_race(ObjectStore& store) {
    // The user knows; and a directory needs no trial: link(2) does it.
    if (!store.creates_atomically() || local_store_path(store.url()))
        return;
    constexpr int kWriters = 4;
    const std::string name = probe_name();
    const RaceResult race = race_to_create(store, name, kWriters);
    try {
        store.remove(name);
    } catch (const Error& error) {
        // Who may not remove can live with that: the object is small.
        if (error.code != ErrorCode::permission_denied)
            throw;
    }
    if (race.winners == 1 && race.is_kept)
        return;
    throw Error(ErrorCode::refused,
                "\"" + store.url() + "\" does not create objects only where there is none",
                "Of " + std::to_string(kWriters) + " writers that created one object at once " +
                    std::to_string(race.winners) + " were told that they had.",
                "Two clusters that write to one place by mistake would overwrite each other's WAL "
                "there. Use another store, or see to it yourself and say create_if_absent=off in "
                "the repository's URL; WAL is not streamed then.");
}

void create_mark(ObjectStore& store) {
    bool occupied = false;
    // A check of the place that had no right to remove leaves its objects.
    store.list("", [&](const ObjectInfo& object) {
        occupied = !object.name.starts_with(std::string(kProbeDirectory) + "/");
        return !occupied;
    });
    if (occupied) {
        throw Error(ErrorCode::refused,
                    "\"" + store.url() + "\" holds other things and is not a pg_ark repository",
                    "An object \"ark.json\" would mark it as one.",
                    "Name an empty or a new place in pg_ark.repositories.");
    }
    check_race(store);
    const json mark{{"pg_ark_repository", kFormat},
                    {"repository_id", random_uuid()},
                    {"created_at", to_iso8601(now_micros())}};
    // Where another creator was faster its mark counts: the caller reads it.
    store.put_if_absent(kMarkName, as_bytes(mark.dump(2) + "\n"));
}

}  // namespace

Repository::Repository(std::unique_ptr<ObjectStore> store, std::string id)
    : store_(std::move(store)), id_(std::move(id)) {}

std::unique_ptr<Repository> Repository::open(const std::string& url, OpenMode mode,
                                             const StoreOptions& options) {
    return open(open_store(url, options), mode);
}

std::unique_ptr<Repository> Repository::open(std::unique_ptr<ObjectStore> store, OpenMode mode) {
    std::optional<Bytes> mark;
    try {
        mark = store->get(kMarkName, kMarkLimit);
    } catch (const Error& error) {
        // Where the place itself does not exist yet there is nothing to read; making it is the
        // point.
        if (mode != OpenMode::create || error.code != ErrorCode::unavailable)
            throw;
    }
    if (!mark && mode == OpenMode::create) {
        create_mark(*store);
        mark = store->get(kMarkName, kMarkLimit);
    }
    if (!mark) {
        throw Error(ErrorCode::not_found, "\"" + store->url() + "\" is not a pg_ark repository",
                    "It has no object \"ark.json\".",
                    "Check the URL; a repository is made when a server with this URL in "
                    "pg_ark.repositories first archives or takes a backup.");
    }
    std::string id = id_of_mark(*mark, store->url());
    return std::unique_ptr<Repository>(new Repository(std::move(store), std::move(id)));
}

void Repository::use_vault(const std::string& cluster, std::shared_ptr<const Vault> vault) {
    store_ = with_vault(std::move(store_), cluster, std::move(vault));
}

std::vector<std::string> Repository::clusters() {
    std::vector<std::string> names = store_->list_parts("");
    std::erase_if(names, [](const std::string& name) {
        return name == kMarkName || name == kProbeDirectory;
    });
    return names;
}

std::string Repository::resolve_cluster(const std::string& wanted) {
    const std::vector<std::string> names = clusters();
    if (!wanted.empty()) {
        if (std::ranges::find(names, wanted) != names.end())
            return wanted;
        throw Error(ErrorCode::not_found,
                    "cluster \"" + wanted + "\" is not in repository \"" + url() + "\"", {},
                    "Leave out --cluster to see which there are.");
    }
    if (names.size() == 1)
        return names.front();
    if (names.empty()) {
        throw Error(ErrorCode::not_found, "repository \"" + url() + "\" holds no cluster", {},
                    "Take a backup first, or check the URL.");
    }
    std::string all;
    for (const std::string& name : names)
        all += (all.empty() ? "" : ", ") + name;
    throw Error(ErrorCode::invalid_argument, "repository \"" + url() + "\" holds several clusters",
                "They are: " + all + ".", "Name one with --cluster.");
}

namespace place {

namespace {

constexpr std::string_view kPackEnding = ".tar.zst";
constexpr std::string_view kPartEnding = ".part.zst";

std::string pack_digits(uint32_t number) {
    std::string digits = std::to_string(number);
    if (digits.size() < 5)
        digits.insert(0, 5 - digits.size(), '0');
    return digits;
}

std::optional<uint32_t> parse_numbered(std::string_view name, std::string_view ending) {
    if (!name.ends_with(ending))
        return std::nullopt;
    name.remove_suffix(ending.size());
    uint32_t number = 0;
    const auto result = std::from_chars(name.data(), name.data() + name.size(), number);
    if (result.ec != std::errc{} || result.ptr != name.data() + name.size() ||
        pack_digits(number) != name)
        return std::nullopt;
    return number;
}

}  // namespace

namespace {

std::string hex16(uint64_t value) {
    return hex8(static_cast<uint32_t>(value >> 32)) + hex8(static_cast<uint32_t>(value));
}

std::optional<uint64_t> parse_hex16(std::string_view text) {
    uint64_t value = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    const bool whole = result.ec == std::errc{} && result.ptr == text.data() + text.size();
    return whole && hex16(value) == text ? std::optional(value) : std::nullopt;
}

}  // namespace

std::string segment_directory(const std::string& segment_file_name) {
    return "wal/" + segment_file_name.substr(0, 8) + "/" + segment_file_name.substr(8, 8);
}
std::string segment(const std::string& segment_file_name) {
    return segment_directory(segment_file_name) + "/" + segment_file_name + ".zst";
}
std::string partial(const std::string& partial_file_name, const std::string& sha256) {
    return segment_directory(partial_file_name) + "/" + partial_file_name + "." + sha256 + ".zst";
}
std::string history(TimelineId timeline) {
    return "wal/" + hex8(timeline) + "/" + history_name(timeline);
}
std::string tail_timeline(TimelineId timeline) {
    return "tail/" + hex8(timeline);
}
std::string tail_directory(const std::string& segment_file_name) {
    return "tail/" + segment_file_name.substr(0, 8) + "/" + segment_file_name;
}
std::string tail(const std::string& segment_file_name, uint32_t from) {
    return tail_directory(segment_file_name) + "/" + hex8(from) + ".zst";
}
std::string changes_timeline(TimelineId timeline) {
    return "blocks/" + hex8(timeline);
}
std::string changes(TimelineId timeline, Lsn from, Lsn to) {
    return changes_timeline(timeline) + "/" + hex16(from) + "-" + hex16(to) + ".zst";
}
std::optional<std::pair<Lsn, Lsn>> parse_changes(std::string_view name) {
    constexpr size_t kDigits = 16;
    if (name.size() != 2 * kDigits + 1 + 4 || name[kDigits] != '-' || !name.ends_with(".zst"))
        return std::nullopt;
    const auto from = parse_hex16(name.substr(0, kDigits));
    const auto to = parse_hex16(name.substr(kDigits + 1, kDigits));
    if (!from || !to || *from >= *to)
        return std::nullopt;
    return std::pair(*from, *to);
}
std::string backup(const std::string& backup_id) {
    return "backup/" + backup_id;
}
std::string pack(const std::string& backup_id, uint32_t number) {
    return backup(backup_id) + "/data/" + pack_digits(number) + std::string(kPackEnding);
}
std::string part(const std::string& backup_id, uint32_t number) {
    return backup(backup_id) + "/data/" + pack_digits(number) + std::string(kPartEnding);
}
std::optional<uint32_t> parse_part(std::string_view name) {
    return parse_numbered(name, kPartEnding);
}
std::optional<uint32_t> parse_pack(std::string_view name) {
    return parse_numbered(name, kPackEnding);
}
std::string index(const std::string& backup_id) {
    return backup(backup_id) + "/index.zst";
}
std::string manifest(const std::string& backup_id) {
    return backup(backup_id) + "/manifest.zst";
}
std::string config(const std::string& backup_id) {
    return backup(backup_id) + "/config.tar.zst";
}
std::string census(const std::string& backup_id) {
    return backup(backup_id) + "/census.zst";
}

std::string answers(const std::string& backup_id) {
    return backup(backup_id) + "/answers.zst";
}

std::string marker(const std::string& backup_id) {
    return backup(backup_id) + "/backup.json";
}

std::string evidence(const std::string& backup_id, const std::string& test_id) {
    return backup(backup_id) + "/tests/" + test_id + ".json";
}

std::string audit(UnixMicros at, const std::string& id) {
    const std::string time = to_iso8601(at);  // 2026-11-20T02:15:00.123456Z
    return std::string(kAudit) + "/" + time.substr(0, 10) + "/" + time.substr(11, 2) +
           time.substr(14, 2) + time.substr(17, 9) + "-" + id + ".json";
}

namespace {

constexpr std::string_view kDamagedEnding = ".damaged.zst";

}  // namespace

std::string verified(UnixMicros at, const std::string& id, bool is_damage) {
    std::string time = to_iso8601(at).substr(0, 19);  // 2026-11-20T02:15:00
    std::erase_if(time, [](char c) { return c == '-' || c == ':'; });
    return std::string(kVerified) + "/" + time + "-" + id +
           (is_damage ? std::string(kDamagedEnding) : ".zst");
}
bool is_verified_damage(std::string_view name) {
    return name.ends_with(kDamagedEnding);
}

std::string keyring(uint64_t generation) {
    return std::string(kKeys) + "/" + std::to_string(generation) + ".json";
}

}  // namespace place

bool is_valid_name_part(const std::string& text) {
    if (text.empty() || text.size() > 128 || text.front() == '.')
        return false;
    return std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-' || c == '.';
    });
}

}  // namespace ark
