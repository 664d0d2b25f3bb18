#include "core/repo/index.hpp"

#include "test/fuzz/repository.hpp"
#include "test/fuzz/target.hpp"

namespace ark::fuzz {
namespace {

IndexEntry sample() {
    IndexEntry entry;
    entry.path = "base/1/1259";
    entry.modified = 1795140902123456;
    entry.size = 1500000;
    entry.crc32c = 0x12345678;
    entry.xxh128 = {1, 2};
    entry.pack = 3;
    entry.skip = 512;
    entry.frames = {{1000, 2000}, {3000, 4000}};
    return entry;
}

std::vector<Bytes> seeds() {
    IndexEntry odd = sample();
    odd.path = "base/1/\xFF";
    IndexEntry changed = sample();
    changed.size = incremental_bytes(3, 8192);
    changed.frames.pop_back();
    changed.block_checksums = {{5000, 60}};
    changed.frame_crcs = {7};
    changed.incremental = IncrementalContent{10 * 8192, {{1, 2}, {4, 1}}};
    IndexEntry directory;
    directory.path = "base";
    directory.type = EntryType::directory;
    IndexEntry empty;
    empty.path = "base/1/empty";
    return seeds_of({to_json_line(changed), to_json_line(directory) + to_json_line(sample()),
                     to_json_line(odd), to_json_line(empty)});
}

void run(ByteView input) {
    IndexEntry entry;
    const std::string_view text = as_text(input);
    const std::string_view line = text.substr(0, text.find('\n'));
    // With a space in front it is not as it is written, and is read by other means.
    IndexEntry other;
    const bool parsed = answers([&] { entry = parse_index_line(line); });
    require(parsed == answers([&] { other = parse_index_line(" " + std::string(line)); }) &&
                entry == other,
            "a line says the same in whatever way it is read");
    if (parsed) {
        const std::string again = to_json_line(entry);
        require(parse_index_line(again) == entry, "an entry survives");
    }
    if (input.size() % 16 != 0)  // the rest takes megabytes each time
        return;
    const auto repository = empty_repository();
    const std::string digest =
        write_object(*repository, ObjectKind::index, place::index("b"), input);
    std::string last;
    answers([&] {
        IndexReader reader(*repository, kCluster, "b", digest);
        while (const auto next = reader.next()) {
            require(last.empty() || last < next->path, "paths are in order");
            last = next->path;
        }
    });
}

const Target target("index", seeds, run);

}  // namespace
}  // namespace ark::fuzz
