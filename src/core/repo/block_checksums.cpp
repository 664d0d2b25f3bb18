#include "core/repo/block_checksums.hpp"

#include <algorithm>

#include "core/base/crc32c.hpp"
#include "core/base/error.hpp"
#include "core/pgdata/relation_name.hpp"
#include "core/pipeline/content_hash.hpp"
#include "core/pipeline/zstd.hpp"

namespace ark {

namespace {

// One of zstd's skippable magics that nothing else here has.
constexpr uint32_t kMagic = 0x184D2A5D;
constexpr size_t kBefore = 4 + 4 + 4;
constexpr size_t kEach = sizeof(uint64_t);
constexpr size_t kMostInFrame = kFrameBytes / kEach;

}  // namespace

bool has_block_checksums(const IndexEntry& entry) {
    if (entry.size <= kFrameBytes)
        return false;
    const auto relation = parse_relation_path(entry.path);
    return relation && relation->file.fork == Fork::main && !relation->file.temporary;
}

bool is_checksummed_size(uint32_t block_bytes) {
    return block_bytes > 0 && kFrameBytes % block_bytes == 0;
}

void append_block_checksums(ByteView content, uint32_t block_bytes,
                            std::vector<uint64_t>& checksums) {
    while (!content.empty()) {
        const size_t n = std::min<size_t>(block_bytes, content.size());
        checksums.push_back(block_hash(content.first(n)));
        content = content.subspan(n);
    }
}

uint64_t block_checksum_count(uint64_t size, uint32_t block_bytes) {
    return size / block_bytes + (size % block_bytes == 0 ? 0 : 1);
}

std::vector<Bytes> block_checksum_frames(std::span<const uint64_t> checksums) {
    std::vector<Bytes> out;
    while (!checksums.empty()) {
        const size_t n = std::min(kMostInFrame, checksums.size());
        Bytes& frame = out.emplace_back(kBefore + n * kEach);
        for (size_t i = 0; i < n; ++i)
            store<uint64_t>(frame, kBefore + i * kEach, checksums[i]);
        store<uint32_t>(frame, 0, kMagic);
        store<uint32_t>(frame, 4, static_cast<uint32_t>(frame.size() - 8));
        store<uint32_t>(frame, 8, crc32c(0, ByteView(frame).subspan(kBefore)));
        checksums = checksums.subspan(n);
    }
    return out;
}

void append_stored_checksums(ByteView frame, const std::string& name,
                             std::vector<uint64_t>& checksums) {
    const bool is_one = frame.size() > kBefore && (frame.size() - kBefore) % kEach == 0 &&
                        load<uint32_t>(frame, 0) == kMagic &&
                        load<uint32_t>(frame, 4) == frame.size() - 8 &&
                        load<uint32_t>(frame, 8) == crc32c(0, frame.subspan(kBefore));
    if (!is_one)
        throw Error(ErrorCode::corrupt, "object \"" + name + "\" is damaged",
                    "Its checksums of blocks are not whole.");
    for (size_t at = kBefore; at < frame.size(); at += kEach)
        checksums.push_back(load<uint64_t>(frame, at));
}

}  // namespace ark
