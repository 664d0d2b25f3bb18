#include "core/changes/change_table.hpp"

#include <algorithm>

namespace ark {

namespace {

void lower_limit(RelationChanges& changes, uint32_t limit) {
    changes.limit = std::min(limit, changes.limit.value_or(limit));
    changes.blocks.cut(limit);
}

void append(RelationChanges& to, const RelationChanges& later) {
    if (later.limit)
        lower_limit(to, *later.limit);
    to.blocks.add_all(later.blocks);
}

}  // namespace

size_t ChangeTable::Hash::operator()(const RelationId& id) const noexcept {
    uint64_t hash = uint64_t{id.filenode} << 32 | id.database;
    hash = (hash ^ uint64_t{id.tablespace} << 17) * 0x9E3779B97F4A7C15;
    return hash ^ hash >> 32;
}

void ChangeTable::add_block(const RelationId& relation, uint32_t block) {
    relations_[relation].blocks.add(block);
}

void ChangeTable::set_limit(const RelationId& relation, uint32_t limit) {
    lower_limit(relations_[relation], limit);
}

void ChangeTable::add(const RelationId& relation, RelationChanges&& later) {
    const auto [place, added] = relations_.try_emplace(relation, std::move(later));
    if (!added)
        append(place->second, later);
}

void ChangeTable::merge(const ChangeTable& later) {
    for (const auto& [relation, changes] : later.relations_)
        append(relations_[relation], changes);
    databases_.insert(later.databases_.begin(), later.databases_.end());
}

const RelationChanges* ChangeTable::find(const RelationId& relation) const {
    const auto found = relations_.find(relation);
    return found == relations_.end() ? nullptr : &found->second;
}

std::vector<std::pair<RelationId, const RelationChanges*>> ChangeTable::sorted() const {
    std::vector<std::pair<RelationId, const RelationChanges*>> out;
    out.reserve(relations_.size());
    for (const auto& [relation, changes] : relations_)
        out.emplace_back(relation, &changes);
    std::ranges::sort(out, {}, [](const auto& entry) { return entry.first; });
    return out;
}

uint64_t ChangeTable::blocks() const {
    uint64_t blocks = 0;
    for (const auto& [relation, changes] : relations_)
        blocks += changes.blocks.size();
    return blocks;
}

void ChangeTable::clear() {
    relations_.clear();
    databases_.clear();
}

uint64_t ChangeTable::memory_bytes() const {
    // A node: its link, the stored hash, what it holds, what malloc adds.
    constexpr uint64_t kNode = 2 * sizeof(void*) +
                               sizeof(std::pair<const RelationId, RelationChanges>) +
                               2 * sizeof(void*);
    constexpr uint64_t kMalloc = 16;
    uint64_t bytes = relations_.bucket_count() * sizeof(void*) + databases_.size() * 64;
    for (const auto& [relation, changes] : relations_)
        bytes += kNode + changes.blocks.memory_bytes() + 2 * kMalloc;
    return bytes;
}

}  // namespace ark
