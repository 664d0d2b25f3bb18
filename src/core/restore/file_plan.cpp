#include "core/restore/file_plan.hpp"

#include <algorithm>
#include <utility>

namespace ark {

namespace {

// The blocks that a backup has of a file, and where they are in its member.
struct Held {
    BlockRun run;
    uint64_t from = 0;
};

std::vector<Held> held_blocks(const IndexEntry& e, uint32_t block_bytes) {
    std::vector<Held> out;
    if (!e.incremental) {
        const uint64_t blocks =
            std::min<uint64_t>(e.size / block_bytes, std::numeric_limits<uint32_t>::max());
        out.push_back({{0, static_cast<uint32_t>(blocks)}, 0});
        return out;
    }
    const auto& runs = e.incremental->runs;
    uint64_t from = incremental_header_bytes(blocks_in(runs), block_bytes);
    for (const BlockRun& run : runs) {
        out.push_back({run, from});
        from += uint64_t{run.length} * block_bytes;
    }
    return out;
}

/// The blocks of a file that nobody has given yet.
class Missing {
 public:
    explicit Missing(uint32_t blocks) {
        if (blocks > 0)
            runs_.push_back({0, blocks});
    }

    const std::vector<BlockRun>& runs() const { return runs_; }

    bool has(uint64_t block) const {
        return std::ranges::any_of(
            runs_, [&](const BlockRun& r) { return block >= r.first && block < r.end(); });
    }

    /// Takes away what is held: the extents that it gives.
    std::vector<Extent> take(const std::vector<Held>& held, uint32_t block_bytes) {
        std::vector<Extent> given;
        std::vector<BlockRun> left;
        size_t h = 0;
        for (BlockRun run : runs_) {
            while (run.length > 0) {
                while (h < held.size() && held[h].run.end() <= run.first)
                    ++h;
                if (h == held.size() || held[h].run.first >= run.end()) {
                    left.push_back(run);
                    break;
                }
                const uint32_t begin = std::max(run.first, held[h].run.first);
                const uint32_t end = std::min(run.end(), held[h].run.end());
                if (begin > run.first)
                    left.push_back({run.first, begin - run.first});
                add(given, {held[h].from + uint64_t{begin - held[h].run.first} * block_bytes,
                            uint64_t{begin} * block_bytes, uint64_t{end - begin} * block_bytes});
                run = {end, run.end() - end};
            }
        }
        runs_ = std::move(left);
        return given;
    }

 private:
    static void add(std::vector<Extent>& all, const Extent& extent) {
        if (!all.empty() && all.back().from + all.back().bytes == extent.from &&
            all.back().to + all.back().bytes == extent.to) {
            all.back().bytes += extent.bytes;
        } else {
            all.push_back(extent);
        }
    }

    std::vector<BlockRun> runs_;
};

}  // namespace

Error damaged_member(const IndexEntry& member, const std::string& backup_id, const char* what) {
    return {ErrorCode::corrupt,
            "file \"" + member.path + "\" of backup " + backup_id + " is damaged",
            std::string("Its ") + what + " in pack " + std::to_string(member.pack) +
                " is not what the index says.",
            "Restore another backup (\"pg_ark list\")."};
}

FilePlan plan_file(const ChainEntry& file, const BackupChain& chain) {
    const uint32_t block_bytes = chain.tip().block_size;
    Missing missing(static_cast<uint32_t>(file_size(file.entry) / block_bytes));
    FilePlan plan;
    const auto add = [&](size_t backup, const IndexEntry& member) {
        auto extents = missing.take(held_blocks(member, block_bytes), block_bytes);
        if (!extents.empty())
            plan.parts.push_back({backup, &member, std::move(extents)});
        // A backup has every block at or behind its parent's end; this one is neither here nor
        // there.
        const bool odd = !member.incremental && member.size % block_bytes != 0;
        if (odd && missing.has(member.size / block_bytes)) {
            throw Error(ErrorCode::corrupt,
                        "file \"" + file.entry.path + "\" of backup " + chain.tip().backup_id +
                            " cannot be put together",
                        "Backup " + chain.backups[backup].backup_id + " has a part of its block " +
                            std::to_string(member.size / block_bytes) +
                            ", and no later backup has the block.",
                        "Restore another backup (\"pg_ark list\").");
        }
    };
    add(0, file.entry);
    for (const ChainLayer& layer : file.older) {
        if (missing.runs().empty())
            break;
        add(layer.backup, layer.entry);
    }
    plan.zeros = missing.runs();
    return plan;
}

std::vector<FrameShare> frames_of(const IndexEntry& member, const std::string& backup_id) {
    std::vector<FrameShare> out;
    if (member.size == 0)
        return out;
    if (member.frames.size() == 1) {
        if (member.size > kFrameBytes - member.skip)
            throw damaged_member(member, backup_id, "size");
        out.push_back({member.frames.front(), 0, static_cast<uint32_t>(member.size), member.skip,
                       member.crc32c});
        return out;
    }
    if (member.skip != 0 || member.frames.size() != (member.size + kFrameBytes - 1) / kFrameBytes)
        throw damaged_member(member, backup_id, "number of frames");
    for (size_t i = 0; i < member.frames.size(); ++i) {
        const uint64_t begin = i * kFrameBytes;
        const auto bytes =
            static_cast<uint32_t>(std::min<uint64_t>(kFrameBytes, member.size - begin));
        out.push_back(
            {member.frames[i], begin, bytes, 0,
             member.frame_crcs.empty() ? std::nullopt : std::optional(member.frame_crcs[i])});
    }
    return out;
}

Extent clip(const Extent& extent, uint64_t begin, uint64_t end) {
    const uint64_t from = std::max(extent.from, begin);
    const uint64_t to = std::min(extent.from + extent.bytes, end);
    if (from >= to)
        return {from, extent.to, 0};
    return {from, extent.to + (from - extent.from), to - from};
}

}  // namespace ark
