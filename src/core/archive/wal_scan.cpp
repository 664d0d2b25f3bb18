#include "core/archive/wal_scan.hpp"

#include <algorithm>

#include "core/pgdata/wal_reader.hpp"

namespace ark {

namespace {

WalReader reader_of(WalSource& source) {
    return {source.segment_size(),
            [&source](uint64_t number) { return source.read_segment(number); }};
}

TransactionEnd transaction_of(const WalRecord& record, const WalTransactionEnd& end) {
    return {record.lsn, record.end, end.xid, end.committed, end.time};
}

// The last transaction that ends in a record beginning in [from, to).
std::optional<TransactionEnd> last_in_range(WalReader& reader, Lsn from, Lsn to) {
    std::optional<TransactionEnd> last;
    reader.seek(from);
    for (auto record = reader.next(); record && record->lsn < to; record = reader.next()) {
        if (const auto end = decode_transaction_end(*record))
            last = transaction_of(*record, *end);
    }
    return last;
}

}  // namespace

std::optional<RestorePoint> find_restore_point(WalSource& source, const std::string& name,
                                               Lsn from) {
    WalReader reader = reader_of(source);
    reader.seek(from);
    while (const auto record = reader.next()) {
        const auto point = decode_restore_point(*record);
        if (point && point->name == name)
            return RestorePoint{record->lsn, record->end, point->time};
    }
    return std::nullopt;
}

std::optional<TransactionEnd> last_transaction(WalSource& source, Lsn from) {
    const uint64_t size = source.segment_size();
    const uint64_t first = from / size;
    const auto last = source.last_contiguous(first);
    if (!last)
        return std::nullopt;
    WalReader reader = reader_of(source);
    for (uint64_t number = *last;; --number) {
        const Lsn begin = std::max(from, number * size);
        if (const auto found = last_in_range(reader, begin, (number + 1) * size))
            return found;
        if (number == first)
            return std::nullopt;
    }
}

std::optional<TransactionEnd> find_transaction(WalSource& source, uint32_t xid, Lsn from) {
    WalReader reader = reader_of(source);
    reader.seek(from);
    while (const auto record = reader.next()) {
        const auto end = decode_transaction_end(*record);
        if (end && end->xid == xid)
            return transaction_of(*record, *end);
    }
    return std::nullopt;
}

std::vector<CreatedTablespace> tablespaces_created(WalSource& source, Lsn from, Lsn to) {
    std::vector<CreatedTablespace> out;
    WalReader reader = reader_of(source);
    reader.seek(from);
    for (auto record = reader.next(); record && record->lsn < to; record = reader.next()) {
        if (const auto created = decode_tablespace_create(*record)) {
            out.push_back({record->lsn, created->oid, created->location});
        }
    }
    return out;
}

bool has_record_from(WalSource& source, Lsn lsn) {
    WalReader reader = reader_of(source);
    reader.seek(lsn);
    if (reader.next())
        return true;
    // Only who comes from before a switch knows it for one.
    reader.seek(lsn / source.segment_size() * source.segment_size());
    while (const auto record = reader.next()) {
        if (record->lsn >= lsn)
            return true;
    }
    return false;
}

Lsn end_of_wal(WalSource& source, Lsn from) {
    const uint64_t size = source.segment_size();
    const uint64_t first = from / size;
    const auto last = source.last_contiguous(first);
    if (!last)
        return from;
    WalReader reader = reader_of(source);
    // In one segment there may be no record's end: one record can be larger.
    for (uint64_t number = *last;; --number) {
        const Lsn begin = std::max(from, number * size);
        reader.seek(begin);
        bool any = false;
        while (reader.next())
            any = true;
        if (any)
            return reader.position();
        if (number == first)
            return from;
    }
}

}  // namespace ark
