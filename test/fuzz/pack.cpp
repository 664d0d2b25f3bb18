#include "core/repo/index.hpp"
#include "core/repo/object_writer.hpp"
#include "core/restore/file_queue.hpp"
#include "core/restore/file_source.hpp"
#include "test/fuzz/repository.hpp"
#include "test/fuzz/target.hpp"

namespace ark::fuzz {
namespace {

// One pack; an input is lines of the index that lead into it, or elsewhere.
struct Backup {
    Backup() {
        marker.cluster = kCluster;
        marker.backup_id = "b";
        for (int i = 0; i < 3000; ++i)
            plain.push_back(static_cast<std::byte>(i % 251));
        ObjectWriter writer(repository->store(), kCluster, ObjectKind::pack, place::pack("b", 0),
                            Writer{}, 1, false);
        writer.on_frame([&](uint64_t offset, uint32_t stored) {
            frames.push_back({offset, stored});
        });
        for (const size_t from : {0, 1000, 2000}) {
            writer.append(ByteView(plain).subspan(from, 1000));
            writer.end_frame();
        }
        writer.finish();
    }
    std::unique_ptr<Repository> repository = empty_repository();
    BackupMarker marker;
    Bytes plain;
    std::vector<FrameRef> frames;
};
const Backup& backup() {
    static const Backup made;
    return made;
}

std::vector<Bytes> seeds() {
    IndexEntry entry;
    entry.path = "base/1/1259";
    entry.size = 900;
    entry.skip = 50;
    entry.frames = {backup().frames[0]};
    IndexEntry large = entry;
    large.size = 2900;
    large.frames = backup().frames;
    return seeds_of({to_json_line(entry) + to_json_line(large), to_json_line(large)});
}

void read(FileSource& source, const IndexEntry& entry) {
    FileWork work;
    work.pack = entry.pack;
    for (const FrameRef& frame : entry.frames)
        work.end = std::max(work.end, frame.offset + frame.stored);
    uint64_t bytes = 0;
    if (answers([&] {
            source.open(work);
            source.read(entry, [&](ByteView piece) { bytes += piece.size(); });
        }))
        require(bytes == entry.size, "a file is as long as the index says");
}

void run(ByteView bytes) {
    const BackupChain chain{{backup().marker}};
    FileSource source(*backup().repository, chain);
    Input input(bytes);
    for (int lines = 0; !input.empty() && lines < 4; ++lines) {
        IndexEntry entry;
        const std::string line = input.take_text('\n');
        if (answers([&] { entry = parse_index_line(line); }) && entry.type == EntryType::file)
            read(source, entry);
    }
}

const Target target("pack", seeds, run);

}  // namespace
}  // namespace ark::fuzz
