#include "cli/restore_wal.hpp"

#include <algorithm>

#include "core/archive/tail.hpp"
#include "core/archive/wal_scan.hpp"
#include "core/archive/wal_source.hpp"
#include "core/pgdata/wal_reader.hpp"

namespace ark {

namespace {

// WAL up to a segment: a question about the range before it must not read on.
class BoundedWal final : public WalSource {
 public:
    BoundedWal(Repository& repository, const std::string& cluster, uint64_t segment_size,
               const TimelineHistory& way, uint64_t last)
        : source_(repository, cluster, segment_size, way), last_(last) {}

    uint64_t segment_size() const override { return source_.segment_size(); }
    std::optional<ByteView> read_segment(uint64_t number) override {
        if (number > last_)
            return std::nullopt;
        return source_.read_segment(number);
    }
    std::optional<uint64_t> last_contiguous(uint64_t first) override {
        if (first > last_)
            return std::nullopt;
        const auto last = source_.last_contiguous(first, last_);
        return last ? std::optional(std::min(*last, last_)) : std::nullopt;
    }
    std::optional<uint64_t> last_readable(uint64_t first, std::optional<Error>& damage) {
        if (first > last_)
            return std::nullopt;
        const auto last = source_.last_readable(first, last_, damage);
        return last ? std::optional(std::min(*last, last_)) : std::nullopt;
    }
    const RepositoryWal& source() const { return source_; }

 private:
    RepositoryWal source_;
    uint64_t last_;
};

template <typename Record>
std::optional<WalMoment> moment_of(const std::optional<Record>& record) {
    if (!record)
        return std::nullopt;
    return WalMoment{record->lsn, record->end, record->time};
}

class RepositoryWalOnWay final : public WalOnWay {
 public:
    RepositoryWalOnWay(Repository& repository, const std::string& cluster, uint64_t segment_size,
                       const TimelineHistory& way, uint64_t last)
        : source_(repository, cluster, segment_size, way, last) {}

    std::optional<uint64_t> last_contiguous(uint64_t first) override {
        return source_.last_contiguous(first);
    }
    std::optional<uint64_t> last_readable(uint64_t first, std::optional<Error>& damage) override {
        return source_.last_readable(first, damage);
    }
    bool ends_inside(uint64_t number) const override {
        return source_.source().end_inside(number).has_value();
    }
    std::optional<Error> damage() const override { return source_.source().damage(); }
    Lsn end(Lsn from) override { return end_of_wal(source_, from); }
    bool has_record_from(Lsn lsn) override { return ark::has_record_from(source_, lsn); }
    std::optional<WalMoment> last_transaction(Lsn from) override {
        return moment_of(ark::last_transaction(source_, from));
    }
    std::optional<WalMoment> first_transaction_after(UnixMicros time, bool or_at,
                                                     Lsn from) override {
        WalReader reader = reader_from(from);
        while (const auto record = reader.next()) {
            const auto end = decode_transaction_end(*record);
            if (end && (end->time > time || (or_at && end->time == time)))
                return WalMoment{record->lsn, record->end, end->time};
        }
        return std::nullopt;
    }
    std::optional<WalMoment> end_of_transaction(uint32_t xid, Lsn from) override {
        return moment_of(find_transaction(source_, xid, from));
    }
    std::optional<WalMoment> restore_point(const std::string& name, Lsn from) override {
        return moment_of(find_restore_point(source_, name, from));
    }
    std::vector<LaterTablespace> tablespaces_created(Lsn from, Lsn to) override {
        std::vector<LaterTablespace> out;
        for (CreatedTablespace& t : ark::tablespaces_created(source_, from, to)) {
            out.push_back({t.lsn, t.oid, std::move(t.location)});
        }
        return out;
    }

 private:
    WalReader reader_from(Lsn lsn) {
        WalReader reader(source_.segment_size(),
                         [this](uint64_t number) { return source_.read_segment(number); });
        reader.seek(lsn);
        return reader;
    }

    BoundedWal source_;
};

}  // namespace

RepositoryArchivedWal::RepositoryArchivedWal(Repository& repository, std::string cluster)
    : repository_(repository), cluster_(std::move(cluster)) {}

TimelineHistory RepositoryArchivedWal::history_of(TimelineId timeline) {
    return load_timeline_history(repository_, cluster_, timeline);
}

TimelineId RepositoryArchivedWal::newest_timeline(TimelineId start) {
    return find_newest_timeline(repository_, cluster_, start);
}

std::unique_ptr<WalOnWay> RepositoryArchivedWal::along(const TimelineHistory& way,
                                                       uint64_t segment_size,
                                                       uint64_t last_segment) {
    return std::make_unique<RepositoryWalOnWay>(repository_, cluster_, segment_size, way,
                                                last_segment);
}

Bytes RepositoryArchivedWal::pieces_of(const std::string& segment) {
    try {
        auto chain = read_tail({repository_, cluster_}, segment);
        return chain ? std::move(chain->bytes) : Bytes();
    } catch (const Error& error) {
        if (error.code != ErrorCode::corrupt)
            throw;
        return {};
    }
}

}  // namespace ark
