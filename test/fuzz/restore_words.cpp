#include "core/restore/plan.hpp"
#include "test/fuzz/target.hpp"

namespace ark::fuzz {
namespace {

std::vector<Bytes> seeds() {
    return seeds_of({"730:735:731,733", "5:5:", "/mnt/a=/mnt/b", "/mnt/a\\=c=/mnt/b/"});
}

void run(ByteView input) {
    const std::string text(as_text(input));
    if (const auto snapshot = parse_snapshot(text)) {
        for (const uint64_t xid : {uint64_t{3}, snapshot->xmin, snapshot->xmax, ~uint64_t{0}})
            static_cast<void>(ends_after(*snapshot, xid));
    }
    answers([&] {
        const auto map = parse_tablespace_map(text);
        require(map.first.starts_with('/') && map.second.starts_with('/'), "paths are absolute");
        return map_tablespaces({{1, map.first}}, {map}, "/data");
    });
}

const Target target("restore_words", seeds, run);

}  // namespace
}  // namespace ark::fuzz
