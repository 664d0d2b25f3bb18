#include "core/repo/repository.hpp"
#include "test/fuzz/target.hpp"

namespace ark::fuzz {
namespace {

std::vector<Bytes> seeds() {
    return seeds_of(
        {"{\"pg_ark_repository\": 1, \"repository_id\": "
         "\"7f2c1d8e-0000-4000-8000-000000000001\", \"created_at\": "
         "\"2026-11-20T02:15:00.123456Z\"}\n",
         "{\"pg_ark_repository\": 2}"});
}

void run(ByteView input) {
    auto store = make_memory_store();
    store->put_if_absent("ark.json", input);
    answers([&] {
        const auto repository = Repository::open(std::move(store), OpenMode::read);
        require(is_valid_name_part(repository->id()), "an id can be a name");
    });
}

const Target target("repository_mark", seeds, run);

}  // namespace
}  // namespace ark::fuzz
