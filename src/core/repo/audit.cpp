#include "core/repo/audit.hpp"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "core/base/bytes.hpp"
#include "core/base/error.hpp"
#include "core/repo/json_text.hpp"
#include "core/repo/object.hpp"

namespace ark {

namespace {

using nlohmann::json;

constexpr int kFormat = 1;
// As hexadecimal it has to fit a message of the child protocol (1 MiB).
constexpr size_t kMaxBytes = 512 * 1024;

// A database without an encoding may have anything in its texts; an entry must not be kept out of
// the repository for that.
std::string as_utf8(std::string text) {
    if (is_utf8(text))
        return text;
    for (char& c : text) {
        if (static_cast<unsigned char>(c) >= 0x80)
            c = '?';
    }
    return text;
}

json parse_entries(const std::string& text) {
    json entries = parse_json(as_utf8(text));
    const auto is_entry = [](const json& entry) {
        return entry.is_object() && entry.contains("id") && entry["id"].is_string();
    };
    if (!entries.is_array() || entries.empty() || text.size() > kMaxBytes ||
        !std::ranges::all_of(entries, is_entry))
        throw Error(ErrorCode::invalid_argument, "these are no entries of the audit log");
    return entries;
}

// Entries in one object.
std::vector<json> read_object(Repository& repository, const std::string& cluster,
                              const std::string& place) {
    const auto content =
        read_small(repository.store(), cluster, ObjectKind::audit, place, 2 * kMaxBytes);
    if (!content)
        return {};
    const std::string name = cluster + "/" + place;
    return with_parsed_json(as_text(*content), name, [&](const json& object) {
        if (member<int>(object, "pg_ark_audit") != kFormat)
            throw Error(ErrorCode::unsupported, "\"" + name + "\" has a newer format", {},
                        "Use a newer pg_ark.");
        if (member<std::string>(object, "cluster") != cluster)
            throw Error(ErrorCode::corrupt, "\"" + name + "\" is of another cluster");
        std::vector<json> entries;
        for (const json& entry : object.at("entries")) {
            (void)member<std::string>(entry, "id");
            (void)member<std::string>(entry, "at");
            entries.push_back(entry);
        }
        return entries;
    });
}

// Objects are named by their newest entry: one of an earlier day has nothing to add.
std::vector<std::string> places_since(Repository& repository, const std::string& cluster,
                                      const std::string& since) {
    std::vector<std::string> places;
    const std::string directory = cluster + "/" + place::kAudit;
    for (const std::string& day : repository.store().list_parts(directory)) {
        if (day < since)
            continue;
        repository.store().list(directory + "/" + day, [&](const ObjectInfo& object) {
            places.push_back(object.name.substr(cluster.size() + 1));
            return true;
        });
    }
    return places;
}

// Of one object, not of the store.
bool keeps_no_other(const Error& error) {
    return error.code == ErrorCode::corrupt || error.code == ErrorCode::unsupported ||
           error.code == ErrorCode::invalid_key || error.code == ErrorCode::refused;
}

}  // namespace

void store_audit(Repository& repository, const std::string& cluster, UnixMicros at,
                 const std::string& id, const std::string& entries) {
    const json object{
        {"pg_ark_audit", kFormat}, {"cluster", cluster}, {"entries", parse_entries(entries)}};
    const std::string text = object.dump() + "\n";
    store_small(repository.store(), cluster, ObjectKind::audit, place::audit(at, id),
                as_bytes(text), make_writer({}));
}

std::vector<json> read_audit(Repository& repository, const std::string& cluster,
                             const std::string& since, std::vector<UnreadAudit>* unread) {
    std::vector<json> entries;
    // Whole entries: whoever knows an id must not be able to hide the entry behind another one.
    std::set<std::string> seen;
    for (const std::string& place : places_since(repository, cluster, since)) {
        try {
            for (json& entry : read_object(repository, cluster, place)) {
                const bool wanted = entry["at"].get_ref<const std::string&>() >= since;
                if (wanted && seen.insert(entry.dump()).second)
                    entries.push_back(std::move(entry));
            }
        } catch (const Error& error) {
            if (!keeps_no_other(error))
                throw;
            unread->push_back({place, error});
        }
    }
    std::ranges::stable_sort(entries, [](const json& a, const json& b) {
        return a["at"].get_ref<const std::string&>() < b["at"].get_ref<const std::string&>();
    });
    return entries;
}

}  // namespace ark
