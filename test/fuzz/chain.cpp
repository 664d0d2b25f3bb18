#include "core/base/crc32c.hpp"
#include "core/repo/object_writer.hpp"
#include "core/restore/chain_source.hpp"
#include "core/restore/layered_file.hpp"
#include "test/fuzz/repository.hpp"
#include "test/fuzz/target.hpp"

namespace ark::fuzz {
namespace {

constexpr uint32_t kBlock = 1024;

// A chain of three with one pack each; an input is what their indexes say of one file, newest
// first.
struct Backups {
    Backups() {
        for (const char* id : {"c", "b", "a"}) {
            BackupMarker& marker = chain.backups.emplace_back();
            marker.cluster = kCluster;
            marker.backup_id = id;
            marker.block_size = kBlock;
            marker.relation_segment_blocks = 64;
            ObjectWriter writer(repository->store(), kCluster, ObjectKind::pack, place::pack(id, 0),
                                Writer{}, 1, false);
            writer.on_frame([&](uint64_t offset, uint32_t stored) {
                frames.push_back({offset, stored});
            });
            Bytes plain = incremental_header(std::vector<BlockRun>{{1, 2}}, 4, kBlock);
            plain.resize(8 * kBlock, static_cast<std::byte>(*id));
            writer.append(plain);
            writer.end_frame();
            writer.finish();
            checksums.push_back(crc32c(0, ByteView(plain).first(3 * kBlock)));
        }
    }
    std::unique_ptr<Repository> repository = empty_repository();
    BackupChain chain;
    std::vector<FrameRef> frames;  ///< each backup's
    std::vector<uint32_t> checksums;
};
const Backups& backups() {
    static const Backups made;
    return made;
}

std::vector<Bytes> seeds() {
    std::string text;
    for (size_t i = 0; i < 3; ++i) {
        IndexEntry entry;
        entry.path = "base/1/1259";
        entry.size = 3 * kBlock;
        entry.frames = {backups().frames[i]};
        entry.crc32c = backups().checksums[i];
        if (i < 2)
            entry.incremental = IncrementalContent{4 * kBlock, {{1, 2}}};
        text += to_json_line(entry);
    }
    return seeds_of({text});
}

void read(const ChainEntry& file) {
    const BackupChain& chain = backups().chain;
    for (const bool delta : {false, true}) {
        if (!answers([&] { cut_into_pieces(file, chain, delta, 0); }))
            return;
    }
    ChainSource source(*backups().repository, chain);
    uint64_t bytes = 0;
    if (answers([&] { source.read(file, [&](ByteView piece) { bytes += piece.size(); }); }))
        require(bytes == file_size(file.entry), "a file is as long as the index says");
}

void run(ByteView bytes) {
    Input input(bytes);
    ChainEntry file;
    for (size_t i = 0; i < 3; ++i) {
        IndexEntry entry;
        const std::string line = input.take_text('\n');
        if (!answers([&] {
                entry = parse_index_line(line);
                if (entry.incremental)
                    check_sizes(backups().chain.backups[i], entry);
            }) ||
            entry.type != EntryType::file || (i == 2 && entry.incremental))
            return;
        const bool whole = !entry.incremental;
        if (i == 0) {
            file.entry = std::move(entry);
        } else {
            file.older.push_back({i, std::move(entry)});
        }
        if (whole)
            break;
    }
    read(file);
}

const Target target("chain", seeds, run);

}  // namespace
}  // namespace ark::fuzz
