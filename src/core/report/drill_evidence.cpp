#include "core/report/drill_evidence.hpp"

#include <algorithm>

#include "core/repo/json_text.hpp"
#include "core/report/text.hpp"

namespace ark {

namespace {

using nlohmann::json;

constexpr uint64_t kMaxBytes = 4 << 20;
constexpr const char* kSuffix = ".json";

struct Stored {
    std::string backup_id;
    std::string test_id;
};

// Names first: there may be many, and one is asked for.
std::vector<Stored> all_tests(Repository& repository, const std::string& cluster) {
    std::vector<Stored> out;
    for (const std::string& id : repository.store().list_parts(cluster + "/backup")) {
        const std::string tests = cluster + "/" + place::backup(id) + "/tests";
        for (const std::string& name : repository.store().list_parts(tests)) {
            if (name.ends_with(kSuffix))
                out.push_back({id, name.substr(0, name.size() - std::string_view(kSuffix).size())});
        }
    }
    return out;
}

json read_evidence(Repository& repository, const std::string& cluster, const Stored& stored) {
    const std::string name = place::evidence(stored.backup_id, stored.test_id);
    const auto bytes =
        read_small(repository.store(), cluster, ObjectKind::evidence, name, kMaxBytes);
    if (!bytes)
        return {};
    return with_parsed_json(as_text(*bytes), name, [](json object) {
        if (!object.is_object() || !object.contains("pg_ark_evidence"))
            throw Error(ErrorCode::invalid_argument, "It is no evidence");
        return object;
    });
}

// Of one object, not of the store.
bool is_of_object(const Error& error) {
    return error.code == ErrorCode::corrupt || error.code == ErrorCode::unsupported ||
           error.code == ErrorCode::invalid_key || error.code == ErrorCode::refused;
}

[[noreturn]] void not_there(const std::string& test_id) {
    throw Error(ErrorCode::not_found,
                test_id == "latest" ? "the repository has no evidence of a restore test"
                                    : "test \"" + test_id + "\" is not in the repository",
                {},
                "The evidence of a test is beside its backup (backup/ID/tests), and goes with it; "
                "the tests of a server are in ark.backup_tests.");
}

// Which of them is meant; nullptr: the newest.
const Stored* chosen(const std::vector<Stored>& tests, const std::string& test_id) {
    if (test_id == "latest")
        return nullptr;
    const Stored* found = nullptr;
    for (const Stored& stored : tests) {
        if (stored.test_id == test_id)
            return &stored;
        if (test_id.empty() || !stored.test_id.starts_with(test_id))
            continue;
        if (found != nullptr)
            throw Error(ErrorCode::invalid_argument, "several tests begin with \"" + test_id + "\"",
                        {}, "Name it with more of its characters.");
        found = &stored;
    }
    if (found == nullptr)
        not_there(test_id);
    return found;
}

bool is_restore_test(const json& evidence) {
    const std::string kind = text_of(at(evidence, "kind"));
    return kind == "restore_test" || kind == "drill";
}

}  // namespace

DrillSources read_drill(Repository& repository, const std::string& cluster,
                        const std::string& test_id, std::vector<std::string>& unread) {
    DrillSources sources;
    sources.repository = repository.url();
    const std::vector<Stored> tests = all_tests(repository, cluster);
    const Stored* wanted = chosen(tests, test_id);
    if (wanted != nullptr)
        sources.evidence = read_evidence(repository, cluster, *wanted);
    if (wanted != nullptr && !is_restore_test(sources.evidence))
        throw Error(ErrorCode::invalid_argument, "\"" + wanted->test_id + "\" is no restore test",
                    {}, "A verification has no steps to report; ark.backup_verification has it.");
    for (const Stored& stored : tests) {
        if (&stored == wanted)
            continue;
        try {
            json evidence = read_evidence(repository, cluster, stored);
            if (is_restore_test(evidence))
                sources.others.push_back(std::move(evidence));
        } catch (const Error& error) {
            if (!is_of_object(error))
                throw;
            unread.push_back(error.message);
        }
    }
    if (wanted == nullptr) {
        const auto newest = std::ranges::max_element(
            sources.others, {}, [](const json& e) { return time_at(e, "started_at").value_or(0); });
        if (newest == sources.others.end())
            not_there(test_id);
        sources.evidence = std::move(*newest);
        sources.others.erase(newest);
    }
    sources.backups = list_backups(repository, cluster, &unread);
    sources.made_at = now_micros();
    return sources;
}

}  // namespace ark
