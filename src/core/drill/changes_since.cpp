#include "core/drill/changes_since.hpp"

#include <algorithm>

namespace ark {

namespace {

// src/include/access/rmgrlist.h, heapam_xlog.h, pg_control.h; the same from 15 to 18, but for what
// the three kinds of pruning are called.
constexpr uint8_t kRmXlog = 0;
constexpr uint8_t kFpiForHint = 0xA0;
constexpr uint8_t kRmHeap2 = 9;
constexpr uint8_t kRmHeap = 10;
constexpr uint8_t kHeapOperation = 0x70;
constexpr uint8_t kHeap2Prune = 0x10;
constexpr uint8_t kHeap2Visible = 0x40;
constexpr uint8_t kHeap2LockUpdated = 0x60;
constexpr uint8_t kHeapLock = 0x60;
constexpr uint8_t kHeapInplace = 0x70;

constexpr uint64_t kRecordsATick = 10000;

}  // namespace

bool keeps_rows(const WalRecord& record) {
    const uint8_t operation = record.info() & kHeapOperation;
    switch (record.rmid()) {
        case kRmXlog:
            return record.operation() == kFpiForHint;
        case kRmHeap2:
            return (operation >= kHeap2Prune && operation <= kHeap2Visible) ||
                   operation == kHeap2LockUpdated;
        case kRmHeap:
            return operation == kHeapLock || operation == kHeapInplace;
        default:
            return false;
    }
}

void ChangesSince::want(const RelationId& relation, Lsn since, bool by_blocks) {
    Last& last = wanted_[relation];
    last.by_blocks = last.by_blocks || by_blocks;
    from_ = from_ == 0 ? since : std::min(from_, since);
}

bool ChangesSince::read(uint64_t segment_size, const WalReader::SegmentFunction& segments, Lsn to,
                        const std::function<void()>& tick) {
    if (wanted_.empty())
        return true;
    WalReader reader(segment_size, segments);
    reader.seek(from_);
    RecordChanges changes;
    uint64_t count = 0;
    for (auto record = reader.next(); record; record = reader.next()) {
        if (record->lsn >= to)
            return true;
        if (++count % kRecordsATick == 0)
            tick();
        if (keeps_rows(*record))
            continue;
        changes.decode(*record);
        take(*record, changes);
    }
    return reader.position() >= to;
}

void ChangesSince::take(const WalRecord& record, const RecordChanges& changes) {
    for (const DatabaseId& id : changes.databases())
        directories_[{id.tablespace, id.database}] = record.lsn;
    for (const ForkLimit& limit : changes.limits()) {
        const auto found = wanted_.find(limit.relation);
        if (limit.fork == Fork::main && found != wanted_.end())
            found->second.any = found->second.whole = record.lsn;
    }
    for (const WalBlock& block : changes.blocks()) {
        if (block.fork != Fork::main)
            continue;
        const auto found = wanted_.find(block.relation);
        if (found == wanted_.end())
            continue;
        found->second.any = record.lsn;
        if (found->second.by_blocks)
            found->second.blocks[block.block] = record.lsn;
    }
}

Lsn ChangesSince::directory(const RelationId& relation) const {
    const auto found = directories_.find({relation.tablespace, relation.database});
    return found == directories_.end() ? 0 : found->second;
}

bool ChangesSince::changed(const RelationId& relation, Lsn since) const {
    const auto found = wanted_.find(relation);
    return found == wanted_.end() || found->second.any >= since || directory(relation) >= since;
}

bool ChangesSince::changed(const RelationId& relation, uint64_t block, Lsn since) const {
    const auto found = wanted_.find(relation);
    if (found == wanted_.end() || !found->second.by_blocks || found->second.whole >= since ||
        directory(relation) >= since)
        return true;
    const auto at = found->second.blocks.find(static_cast<uint32_t>(block));
    return at != found->second.blocks.end() && at->second >= since;
}

bool ChangesSince::database_changed(uint32_t database) const {
    return std::ranges::any_of(directories_,
                               [&](const auto& entry) { return entry.first.second == database; });
}

}  // namespace ark
