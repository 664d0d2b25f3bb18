#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace ark {

/// Numbers of blocks of one relation, each once. Two bytes for a block where few of the 65,536
/// around it are in the set, an eighth of one where many are; never more than eight.
class BlockSet {
 public:
    /// False where it was there already.
    bool add(uint32_t block);
    /// Blocks [first, first + length).
    void add_run(uint32_t first, uint64_t length);
    void add_all(const BlockSet& other);
    /// Removes every block from `block` on.
    void cut(uint32_t block);

    bool contains(uint32_t block) const;
    bool empty() const { return chunks_.empty(); }
    uint64_t size() const;

    /// Calls visit(first, length) for each run of neighbours in [from, to), in order; runs are as
    /// long as they can be.
    template <typename Visit>
    void for_each_run(uint64_t from, uint64_t to, Visit&& visit) const;

    /// What it takes in memory besides itself.
    uint64_t memory_bytes() const;

    bool operator==(const BlockSet& other) const;

 private:
    static constexpr uint32_t kChunkBlocks = 65536;
    static constexpr size_t kMostListed = 1024;  ///< more than these are kept as bits
    static constexpr size_t kWords = kChunkBlocks / 16;

    // The blocks from number * 65536 on.
    struct Chunk {
        uint32_t number = 0;
        uint32_t count = 0;
        std::vector<uint16_t> words;  ///< the blocks, ascending; or, if there are kWords, bits

        bool has_bits() const { return words.size() == kWords; }
        bool contains(uint16_t low) const;
        bool add(uint16_t low);
        void add_run(uint32_t low, uint32_t end);
        void cut(uint16_t low);
        void turn_to_bits();
        void count_bits();
        uint32_t next(uint32_t low, bool wanted) const;
        uint32_t next_in_bits(uint32_t low, bool wanted) const;
    };

    std::vector<Chunk>::const_iterator chunk_at(uint64_t number) const;
    Chunk& chunk_for(uint32_t number);

    std::vector<Chunk> chunks_;  ///< by their numbers, none empty
};

template <typename Visit>
void BlockSet::for_each_run(uint64_t from, uint64_t to, Visit&& visit) const {
    uint64_t first = 0;
    uint64_t end = 0;  // of the run that is being made: none where it is `first`
    for (auto chunk = chunk_at(from / kChunkBlocks); chunk != chunks_.end(); ++chunk) {
        const uint64_t base = uint64_t{chunk->number} * kChunkBlocks;
        if (base >= to)
            break;
        uint32_t at = from > base ? static_cast<uint32_t>(from - base) : 0;
        while ((at = chunk->next(at, true)) < kChunkBlocks && base + at < to) {
            const uint32_t behind = chunk->next(at, false);
            if (base + at != end || first == end) {
                if (first != end)
                    visit(first, end - first);
                first = base + at;
            }
            end = std::min(to, base + behind);
            at = behind;
        }
    }
    if (first != end)
        visit(first, end - first);
}

}  // namespace ark
