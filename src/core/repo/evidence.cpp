#include "core/repo/evidence.hpp"

#include <array>
#include <random>
#include <span>
#include <utility>

#include "core/base/bytes.hpp"
#include "core/repo/json_text.hpp"
#include "core/repo/object.hpp"

namespace ark {

namespace {

using nlohmann::json;

constexpr int kFormat = 1;
// As hexadecimal it has to fit a message of the child protocol (1 MiB).
constexpr size_t kMaxBytes = 500 * 1000;

void set_text(json& object, const char* key, const std::string& text) {
    if (!text.empty())
        object[key] = json_of_text(text);
}

json json_of(const Finding& f) {
    json out{{"check", f.check}, {"message", json_of_text(f.message)}};
    set_text(out, "object", f.object);
    set_text(out, "path", f.path);
    set_text(out, "database", f.database);
    set_text(out, "relation", f.relation);
    if (f.block)
        out["block"] = *f.block;
    set_text(out, "detail", f.detail);
    set_text(out, "hint", f.hint);
    return out;
}

json json_of_texts(const std::vector<std::string>& texts) {
    json out = json::array();
    for (const std::string& text : texts)
        out.push_back(json_of_text(text));
    return out;
}

}  // namespace

Finding finding_of(const std::string& check, const Error& error) {
    Finding finding;
    finding.check = check;
    finding.message = error.message;
    finding.detail = error.detail;
    finding.hint = error.hint;
    return finding;
}

void Findings::add(Finding finding) {
    ++count;
    if (kept.size() < kMaxFindings)
        kept.push_back(std::move(finding));
}

std::string to_json(const Evidence& e) {
    json out{{"pg_ark_evidence", kFormat},
             {"test_id", e.test_id},
             {"kind", e.kind},
             {"backup_id", e.backup_id},
             {"cluster", e.cluster},
             {"host", json_of_text(e.host)},
             {"program_version", e.program_version},
             {"started_at", to_iso8601(e.started_at)},
             {"completed_at", to_iso8601(e.completed_at)},
             {"success", e.success},
             {"error_count", e.errors.count},
             {"errors", json::array()},
             {"notes", json_of_texts(e.notes)},
             {"verified", e.verified}};
    size_t bytes = out.dump().size();
    for (const Finding& finding : e.errors.kept) {
        json entry = json_of(finding);
        bytes += entry.dump().size() + 1;
        if (bytes > kMaxBytes)
            break;
        out["errors"].push_back(std::move(entry));
    }
    return out.dump();
}

void store_evidence(Repository& repository, const Evidence& evidence) {
    const std::string text = to_json(evidence) + "\n";
    store_small(repository.store(), evidence.cluster, ObjectKind::evidence,
                place::evidence(evidence.backup_id, evidence.test_id), as_bytes(text),
                make_writer({}));
}

std::string make_uuid() {
    std::random_device device;
    std::array<uint8_t, 16> bytes{};
    for (uint8_t& byte : bytes)
        byte = static_cast<uint8_t>(device());
    bytes[6] = static_cast<uint8_t>((bytes[6] & 0x0F) | 0x40);
    bytes[8] = static_cast<uint8_t>((bytes[8] & 0x3F) | 0x80);
    const std::string hex = to_hex(std::as_bytes(std::span(bytes)));
    return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" +
           hex.substr(16, 4) + "-" + hex.substr(20);
}

}  // namespace ark
