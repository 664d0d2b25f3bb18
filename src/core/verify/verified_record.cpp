#include "core/verify/verified_record.hpp"

#include <nlohmann/json.hpp>

#include "core/base/error.hpp"
#include "core/repo/evidence.hpp"
#include "core/repo/json_text.hpp"
#include "core/repo/vault_store.hpp"

namespace ark {

namespace {

using nlohmann::json;

constexpr int kFormat = 1;
constexpr int kLevel = 3;
// Some 100 bytes an entry; far above what kMaxRecordEntries take.
constexpr uint64_t kMostPlain = 64 << 20;

UnixMicros time_member(const json& object, const char* key) {
    const auto time = parse_time(member<std::string>(object, key), false);
    if (!time)
        throw Error(ErrorCode::invalid_argument, std::string(key) + " is not a time");
    return *time;
}

json line_of(const VerifiedObject& o) {
    return {o.place, o.size, o.modified, o.held_against, o.from, o.at, o.stored};
}

VerifiedObject object_of(const json& line) {
    VerifiedObject o;
    o.place = line.at(0).get<std::string>();
    o.size = strict_value<uint64_t>(line.at(1));
    o.modified = strict_value<int64_t>(line.at(2));
    o.held_against = line.at(3).get<std::string>();
    o.from = strict_value<uint64_t>(line.at(4));
    o.at = strict_value<int64_t>(line.at(5));
    o.stored = strict_value<int64_t>(line.at(6));
    return o;
}

void take_line(const json& line, VerifiedRecord& record) {
    if (line.size() == 1) {
        record.damaged.push_back(line.at(0).get<std::string>());
    } else {
        record.good.push_back(object_of(line));
    }
}

}  // namespace

Bytes encode_record(const VerifiedRecord& record, const std::string& cluster) {
    std::string text =
        json{{"pg_ark_verified", kFormat}, {"cluster", cluster}, {"at", to_iso8601(record.at)}}
            .dump() +
        "\n";
    for (const VerifiedObject& object : record.good)
        text += line_of(object).dump() + "\n";
    for (const std::string& place : record.damaged)
        text += json::array({place}).dump() + "\n";
    const ByteView bytes = as_bytes(text);
    return {bytes.begin(), bytes.end()};
}

VerifiedRecord decode_record(ByteView plaintext, const std::string& name,
                             const std::string& cluster) {
    VerifiedRecord record;
    std::string_view text = as_text(plaintext);
    bool first = true;
    while (!text.empty()) {
        const size_t end = text.find('\n');
        if (end == std::string_view::npos)
            throw Error(ErrorCode::corrupt, "invalid content in \"" + name + "\"",
                        "Its last line has no end.");
        with_parsed_json(text.substr(0, end), name, [&](const json& line) {
            if (!std::exchange(first, false)) {
                take_line(line, record);
                return;
            }
            if (member<int>(line, "pg_ark_verified") != kFormat ||
                member<std::string>(line, "cluster") != cluster)
                throw Error(ErrorCode::invalid_argument, "it is another format's or cluster's");
            record.at = time_member(line, "at");
        });
        text.remove_prefix(end + 1);
    }
    return record;
}

std::string store_record(Repository& repository, const std::string& cluster,
                         const VerifiedRecord& record) {
    const std::string place = place::verified(record.at, make_uuid(), !record.damaged.empty());
    store_object(repository.store(), cluster, ObjectKind::verified, place,
                 encode_record(record, cluster), make_writer({}), kLevel);
    return cluster + "/" + place;
}

VerifiedRecord load_record(Repository& repository, const std::string& cluster,
                           const ObjectInfo& listed) {
    const auto stored = repository.store().get(listed.name, kMostPlain);
    if (!stored)
        throw Error(ErrorCode::not_found, "object \"" + listed.name + "\" does not exist");
    const auto vault = vault_of(repository.store(), cluster);
    if (vault && !parse_header(*stored, listed.name).header.is_encrypted())
        throw Error(ErrorCode::refused, "object \"" + listed.name + "\" is not encrypted");
    VerifiedRecord record =
        decode_record(open_object(*stored, ObjectKind::verified,
                                  listed.name.substr(cluster.size() + 1), kMostPlain, vault.get()),
                      listed.name, cluster);
    for (VerifiedObject& object : record.good) {
        if (object.stored == 0)
            object.stored = listed.modified;
    }
    return record;
}

}  // namespace ark
