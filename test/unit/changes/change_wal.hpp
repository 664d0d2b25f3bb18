#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/pgdata/relation_name.hpp"
#include "core/pgdata/server_version.hpp"
#include "test/unit/wal_builder.hpp"

namespace ark::test {

/// Bytes from values of any size, one behind the other.
class Packed {
 public:
    template <typename T>
    Packed& operator<<(T value) {
        const size_t at = bytes.size();
        bytes.resize(at + sizeof(T));
        store<T>(bytes, at, value);
        return *this;
    }
    Packed& operator<<(const RelationId& id) {
        return *this << id.tablespace << id.database << id.filenode;
    }
    Packed& zeros(size_t count) {
        bytes.resize(bytes.size() + count);
        return *this;
    }
    Bytes bytes;
};

struct BlockReference {
    RelationId relation;
    uint32_t block = 0;
    Fork fork = Fork::main;
};

/// The body of a record with these references, as any resource manager writes them: an image, data,
/// the relation left out where it is that of the one before.
inline Bytes body_of(std::initializer_list<BlockReference> references, size_t data = 3) {
    Packed headers;
    size_t payload = 0;
    std::optional<RelationId> before;
    uint8_t id = 0;
    for (const BlockReference& reference : references) {
        const bool same = before == reference.relation;
        const auto flags = static_cast<uint8_t>(static_cast<uint8_t>(reference.fork) |
                                                (data > 0 ? 0x20 : 0) | (same ? 0x80 : 0));
        headers << id++ << flags << static_cast<uint16_t>(data);
        if (!same)
            headers << reference.relation;
        headers << reference.block;
        payload += data;
        before = reference.relation;
    }
    return headers.zeros(payload).bytes;
}

/// Records that change files, as the versions write them.
inline Lsn add_blocks(WalBuilder& wal, std::initializer_list<BlockReference> references) {
    return wal.add_body(10, 0x00, 700, body_of(references));
}
inline Lsn add_create(WalBuilder& wal, const RelationId& id, Fork fork = Fork::main) {
    return wal.add(2, 0x10, 700, (Packed() << id << static_cast<uint32_t>(fork)).bytes);
}
inline Lsn add_truncate(WalBuilder& wal, const RelationId& id, uint32_t blocks,
                        uint32_t flags = 7) {
    return wal.add(2, 0x20, 700, (Packed() << blocks << id << flags).bytes);
}
/// `info`: XLOG_XACT_COMMIT 0x00, ABORT 0x20, COMMIT_PREPARED 0x30, ABORT_PREPARED 0x40.
inline Lsn add_drop(WalBuilder& wal, uint8_t info, std::initializer_list<RelationId> dropped) {
    Packed data;
    const bool prepared = info >= 0x30;
    data << int64_t{5} << static_cast<uint32_t>(0x107U | (prepared ? 0x10U : 0U));
    data << uint32_t{5} << uint32_t{1663};                  // database
    data << uint32_t{2} << uint32_t{701} << uint32_t{702};  // subtransactions
    data << static_cast<uint32_t>(dropped.size());
    for (const RelationId& id : dropped)
        data << id;
    data << uint32_t{1};
    data.zeros(wal.magic > kLastMagicWithShortStatistics ? 16 : 12);  // statistics
    if (prepared)
        data << uint32_t{700};
    return wal.add(1, static_cast<uint8_t>(info | 0x80), 700, data.bytes);
}
/// XLOG_BACKUP_END.
inline Lsn add_backup_end(WalBuilder& wal, Lsn start) {
    return wal.add(0, 0x50, 0, (Packed() << start).bytes);
}
/// XLOG_PARAMETER_CHANGE.
inline Lsn add_wal_level(WalBuilder& wal, uint32_t level) {
    return wal.add(0, 0x60, 0, Packed().zeros(20).operator<<(level).zeros(4).bytes);
}

}  // namespace ark::test
