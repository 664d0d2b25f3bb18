#include "core/changes/block_set.hpp"

#include <bit>
#include <limits>

namespace ark {

namespace {

constexpr uint32_t kWordBits = 16;

uint16_t bit_of(uint32_t low) {
    return static_cast<uint16_t>(1U << (low % kWordBits));
}

}  // namespace

bool BlockSet::Chunk::contains(uint16_t low) const {
    if (has_bits())
        return (words[low / kWordBits] & bit_of(low)) != 0;
    return std::ranges::binary_search(words, low);
}

bool BlockSet::Chunk::add(uint16_t low) {
    if (has_bits()) {
        uint16_t& word = words[low / kWordBits];
        if ((word & bit_of(low)) != 0)
            return false;
        word |= bit_of(low);
        ++count;
        return true;
    }
    // Most come in ascending order: tables grow at their ends.
    if (words.empty() || words.back() < low) {
        words.push_back(low);
    } else {
        const auto at = std::ranges::lower_bound(words, low);
        if (*at == low)
            return false;
        words.insert(at, low);
    }
    ++count;
    if (words.size() > kMostListed)
        turn_to_bits();
    return true;
}

void BlockSet::Chunk::turn_to_bits() {
    std::vector<uint16_t> bits(kWords);
    for (const uint16_t low : words)
        bits[low / kWordBits] |= bit_of(low);
    words = std::move(bits);
}

void BlockSet::Chunk::add_run(uint32_t low, uint32_t end) {
    if (!has_bits() && words.size() + (end - low) <= kMostListed) {
        for (; low < end; ++low)
            add(static_cast<uint16_t>(low));
        return;
    }
    if (!has_bits())
        turn_to_bits();
    for (; low < end && low % kWordBits != 0; ++low)
        words[low / kWordBits] |= bit_of(low);
    for (; low + kWordBits <= end; low += kWordBits)
        words[low / kWordBits] = 0xFFFF;
    for (; low < end; ++low)
        words[low / kWordBits] |= bit_of(low);
    count_bits();
}

// The blocks before `low` stay.
void BlockSet::Chunk::cut(uint16_t low) {
    if (!has_bits()) {
        words.erase(std::ranges::lower_bound(words, low), words.end());
        count = static_cast<uint32_t>(words.size());
        return;
    }
    words[low / kWordBits] &= static_cast<uint16_t>(bit_of(low) - 1);
    std::fill(words.begin() + low / kWordBits + 1, words.end(), uint16_t{0});
    count_bits();
}

void BlockSet::Chunk::count_bits() {
    count = 0;
    for (const uint16_t word : words)
        count += static_cast<uint32_t>(std::popcount(word));
    // Equal sets are held alike.
    if (count > kMostListed)
        return;
    std::vector<uint16_t> list;
    list.reserve(count);
    for (uint32_t at = next(0, true); at < kChunkBlocks; at = next(at + 1, true))
        list.push_back(static_cast<uint16_t>(at));
    words = std::move(list);
}

// The first block from `low` on that is there (that is not there); kChunkBlocks where none is.
uint32_t BlockSet::Chunk::next(uint32_t low, bool wanted) const {
    if (low >= kChunkBlocks)
        return kChunkBlocks;
    if (has_bits())
        return next_in_bits(low, wanted);
    auto at = std::ranges::lower_bound(words, static_cast<uint16_t>(low));
    if (wanted)
        return at == words.end() ? kChunkBlocks : *at;
    for (; at != words.end() && *at == low; ++at)
        ++low;
    return low;
}

uint32_t BlockSet::Chunk::next_in_bits(uint32_t low, bool wanted) const {
    const auto flip = static_cast<uint16_t>(wanted ? 0 : 0xFFFF);
    uint32_t index = low / kWordBits;
    auto word = static_cast<uint16_t>(words[index] ^ flip);
    word &= static_cast<uint16_t>(~(bit_of(low) - 1U));
    while (word == 0) {
        if (++index == kWords)
            return kChunkBlocks;
        word = static_cast<uint16_t>(words[index] ^ flip);
    }
    return index * kWordBits + static_cast<uint32_t>(std::countr_zero(word));
}

// The first chunk that is not before `number`.
std::vector<BlockSet::Chunk>::const_iterator BlockSet::chunk_at(uint64_t number) const {
    return std::ranges::lower_bound(chunks_, number, {}, &Chunk::number);
}

BlockSet::Chunk& BlockSet::chunk_for(uint32_t number) {
    if (!chunks_.empty() && chunks_.back().number == number)
        return chunks_.back();
    auto at = std::ranges::lower_bound(chunks_, number, {}, &Chunk::number);
    if (at == chunks_.end() || at->number != number) {
        Chunk chunk;
        chunk.number = number;
        at = chunks_.insert(at, std::move(chunk));
    }
    return *at;
}

bool BlockSet::add(uint32_t block) {
    return chunk_for(block / kChunkBlocks).add(static_cast<uint16_t>(block % kChunkBlocks));
}

void BlockSet::add_run(uint32_t first, uint64_t length) {
    const uint64_t end = first + length;
    for (uint64_t at = first; at < end;) {
        const uint64_t base = at - at % kChunkBlocks;
        const uint64_t next = std::min(end, base + kChunkBlocks);
        chunk_for(static_cast<uint32_t>(at / kChunkBlocks))
            .add_run(static_cast<uint32_t>(at - base), static_cast<uint32_t>(next - base));
        at = next;
    }
}

void BlockSet::add_all(const BlockSet& other) {
    other.for_each_run(0, std::numeric_limits<uint64_t>::max(), [&](uint64_t first, uint64_t n) {
        add_run(static_cast<uint32_t>(first), n);
    });
}

void BlockSet::cut(uint32_t block) {
    const uint32_t number = block / kChunkBlocks;
    auto at = std::ranges::lower_bound(chunks_, number, {}, &Chunk::number);
    if (at != chunks_.end() && at->number == number) {
        at->cut(static_cast<uint16_t>(block % kChunkBlocks));
        if (at->count > 0)
            ++at;
    }
    chunks_.erase(at, chunks_.end());
}

bool BlockSet::contains(uint32_t block) const {
    const auto at = chunk_at(block / kChunkBlocks);
    return at != chunks_.end() && at->number == block / kChunkBlocks &&
           at->contains(static_cast<uint16_t>(block % kChunkBlocks));
}

uint64_t BlockSet::size() const {
    uint64_t size = 0;
    for (const Chunk& chunk : chunks_)
        size += chunk.count;
    return size;
}

uint64_t BlockSet::memory_bytes() const {
    uint64_t bytes = chunks_.capacity() * sizeof(Chunk);
    for (const Chunk& chunk : chunks_)
        bytes += chunk.words.capacity() * sizeof(uint16_t);
    return bytes;
}

bool BlockSet::operator==(const BlockSet& other) const {
    return std::ranges::equal(chunks_, other.chunks_, [](const Chunk& a, const Chunk& b) {
        return a.number == b.number && a.words == b.words;
    });
}

}  // namespace ark
