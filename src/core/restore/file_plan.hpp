#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/repo/chain.hpp"

namespace ark {

// How a file is put together from what the backups of a chain have of it. No I/O in here.

/// Bytes of a member of a pack, and where they go in the file.
struct Extent {
    uint64_t from = 0;  ///< in the member's content
    uint64_t to = 0;    ///< in the file
    uint64_t bytes = 0;

    bool operator==(const Extent&) const = default;
};

/// What one backup gives to a file.
struct MemberPart {
    size_t backup = 0;                   ///< in the chain
    const IndexEntry* member = nullptr;  ///< of the ChainEntry that was planned
    std::vector<Extent> extents;         ///< ascending in both; not adjacent in both
};

/// Every byte of the file is in one extent, or in a run of zeros.
struct FilePlan {
    std::vector<MemberPart> parts;  ///< newest first; those that give nothing are left out
    std::vector<BlockRun> zeros;    ///< blocks that no backup has
};

/// Of a file of which the tip has the changed blocks alone: each block is taken from the newest
/// backup that has it. Error: corrupt where only a part of a block is there.
FilePlan plan_file(const ChainEntry& file, const BackupChain& chain);

/// What a frame has of a member's content.
struct FrameShare {
    FrameRef ref;
    uint64_t begin = 0;  ///< in the content
    uint32_t bytes = 0;
    uint32_t skip = 0;                    ///< before it, in the frame's plaintext
    std::optional<uint32_t> crc32c = {};  ///< of it; nullopt where only that of the whole is known
};

/// The frames of a member, where each is known by its place: those of a large one hold 1 MiB each.
/// Error: corrupt where the index says otherwise.
std::vector<FrameShare> frames_of(const IndexEntry& member, const std::string& backup_id);

/// The part of an extent that lies in [begin, end) of the member's content; no bytes where none
/// does.
Extent clip(const Extent& extent, uint64_t begin, uint64_t end);

/// Gives each frame, in order, with the parts of the extents that lie in it.
template <typename Function>
void for_each_frame(const std::vector<FrameShare>& frames, const std::vector<Extent>& extents,
                    const Function& use) {
    size_t next = 0;
    std::vector<Extent> inside;
    for (const FrameShare& frame : frames) {
        const uint64_t end = frame.begin + frame.bytes;
        inside.clear();
        for (; next < extents.size() && extents[next].from < end; ++next) {
            const Extent part = clip(extents[next], frame.begin, end);
            if (part.bytes > 0)
                inside.push_back(part);
            if (extents[next].from + extents[next].bytes > end)
                break;
        }
        use(frame, inside);
    }
}

/// The error for what a backup has of a file, where it is not what the index says. `what`: "frames"
Error damaged_member(const IndexEntry& member, const std::string& backup_id, const char* what);

}  // namespace ark
