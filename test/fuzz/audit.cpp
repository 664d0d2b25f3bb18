#include "core/repo/audit.hpp"

#include "test/fuzz/repository.hpp"
#include "test/fuzz/target.hpp"

namespace ark::fuzz {
namespace {

std::vector<Bytes> seeds() {
    return seeds_of(
        {"{\"pg_ark_audit\": 1, \"cluster\": \"c\", \"entries\": [{\"id\": \"1\", \"at\": "
         "\"2026-11-20T02:15:00Z\", \"action\": \"x\"}]}",
         "[{\"id\": \"1\", \"at\": \"2026-11-20T02:15:00Z\"}]"});
}

void run(ByteView input) {
    const auto repository = empty_repository();
    repository->store().put_if_absent(
        kCluster + "/audit/2026-11-20/021500.000000-7f2c1d8e-0000-4000-8000-000000000001.json",
        input);
    std::vector<UnreadAudit> unread;
    answers([&] { return read_audit(*repository, kCluster, "", &unread); });
    // What the server sends, to be stored.
    const std::string text(as_text(input));
    if (answers([&] { store_audit(*repository, kCluster, 0, "u", text); })) {
        unread.clear();
        answers([&] { return read_audit(*repository, kCluster, "1970", &unread); });
    }
}

const Target target("audit", seeds, run);

}  // namespace
}  // namespace ark::fuzz
