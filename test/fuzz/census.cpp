#include "core/repo/census.hpp"

#include "test/fuzz/repository.hpp"
#include "test/fuzz/target.hpp"

namespace ark::fuzz {
namespace {

std::vector<Bytes> seeds() {
    return seeds_of(
        {"{\"database\":\"a\",\"schema\":\"public\",\"name\":{\"hex\":\"ff\"},\"database_oid\":5,"
         "\"oid\":16384,\"filenode\":16384,\"bytes\":8192,\"rows\":7,\"unchanged\":true}\n",
         "\n"});
}

void run(ByteView input) {
    const auto repository = empty_repository();
    const std::string digest =
        write_object(*repository, ObjectKind::census, place::census("b"), input);
    answers([&] {
        CensusReader reader(*repository, kCluster, "b", digest);
        while (reader.next()) {
        }
    });
}

const Target target("census", seeds, run);

}  // namespace
}  // namespace ark::fuzz
