#include "core/recoverability/recovery_stop.hpp"

#include <algorithm>

#include "core/pgdata/wal_reader.hpp"

namespace ark {

namespace {

class Search {
 public:
    Search(WalSource& source, UnixMicros time, Lsn from, Lsn to)
        : size_(source.segment_size()),
          reader_(size_, [&source](uint64_t number) { return source.read_segment(number); }),
          time_(time),
          from_(from),
          to_(to) {}

    std::optional<RecoveryStop> run() {
        const uint64_t first = from_ / size_;
        // From `low` on some end is early enough, from `high` on none.
        uint64_t low = first;
        uint64_t high = (to_ - 1) / size_ + 1;
        while (high - low > 1) {
            const uint64_t middle = low + (high - low) / 2;
            const auto end = first_end(middle);
            (end && end->next <= time_ ? low : high) = middle;
        }
        // Neighbours may have ended in another order than their times say.
        return first_later(std::max(from_, (low > first ? low - 1 : first) * size_));
    }

 private:
    // The first transaction that ends in a record of this segment or a later one.
    std::optional<RecoveryStop> first_end(uint64_t number) {
        reader_.seek(std::max(from_, number * size_));
        while (const auto record = reader_.next()) {
            if (record->lsn >= to_)
                break;
            if (const auto end = decode_transaction_end(*record))
                return RecoveryStop{record->lsn, end->time, {}};
        }
        return std::nullopt;
    }

    std::optional<RecoveryStop> first_later(Lsn from) {
        std::optional<UnixMicros> last;
        reader_.seek(from);
        while (const auto record = reader_.next()) {
            const auto end = decode_transaction_end(*record);
            if (end && end->time > time_)
                return RecoveryStop{record->lsn, end->time, last};
            if (end)
                last = end->time;
        }
        return std::nullopt;
    }

    const uint64_t size_;
    WalReader reader_;
    const UnixMicros time_;
    const Lsn from_;
    const Lsn to_;
};

}  // namespace

std::optional<RecoveryStop> find_recovery_stop(WalSource& source, UnixMicros time, Lsn from,
                                               Lsn to) {
    return from >= to ? std::nullopt : Search(source, time, from, to).run();
}

}  // namespace ark
