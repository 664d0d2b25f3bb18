#include "core/pgdata/incremental_file.hpp"

namespace ark {

namespace {

constexpr uint64_t kFixedBytes = 3 * sizeof(uint32_t);

}  // namespace

uint32_t blocks_in(std::span<const BlockRun> runs) {
    uint32_t blocks = 0;
    for (const BlockRun& run : runs)
        blocks += run.length;
    return blocks;
}

std::string incremental_path(const std::string& path) {
    const size_t slash = path.rfind('/');
    const size_t name = slash == std::string::npos ? 0 : slash + 1;
    return path.substr(0, name) + "INCREMENTAL." + path.substr(name);
}

uint64_t incremental_header_bytes(uint32_t blocks, uint32_t block_bytes) {
    const uint64_t bytes = kFixedBytes + uint64_t{blocks} * sizeof(uint32_t);
    if (blocks == 0)
        return bytes;
    return (bytes + block_bytes - 1) / block_bytes * block_bytes;
}

uint64_t incremental_bytes(uint32_t blocks, uint32_t block_bytes) {
    return incremental_header_bytes(blocks, block_bytes) + uint64_t{blocks} * block_bytes;
}

Bytes incremental_header(std::span<const BlockRun> runs, uint32_t length, uint32_t block_bytes) {
    const uint32_t blocks = blocks_in(runs);
    Bytes out(incremental_header_bytes(blocks, block_bytes));
    store(out, 0, kIncrementalMagic);
    store(out, sizeof(uint32_t), blocks);
    store(out, 2 * sizeof(uint32_t), length);
    size_t at = kFixedBytes;
    for (const BlockRun& run : runs) {
        for (uint32_t block = run.first; block != run.end(); ++block) {
            store(out, at, block);
            at += sizeof(uint32_t);
        }
    }
    return out;
}

}  // namespace ark
