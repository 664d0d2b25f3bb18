#include "core/archive/contain_tablespaces.hpp"

#include <algorithm>
#include <vector>

#include "core/pgdata/wal_page.hpp"
#include "core/pgdata/wal_reader.hpp"

namespace ark {

namespace {

// Record header, data header, oid, a path of MAXPGPATH (src/backend/commands/tablespace.c).
constexpr uint32_t kLongestCreate = kWalRecordHeader + 5 + 4 + 1024;
constexpr size_t kCrcOffset = 20;
constexpr size_t kPathOffset = 4;  // in xl_tblspc_create_rec

struct Change {
    Lsn lsn = 0;
    Bytes record;
};

Bytes without_path(const WalRecord& record, ByteView main_data) {
    Bytes out(record.bytes.begin(), record.bytes.end());
    const size_t path = out.size() - main_data.size() + kPathOffset;
    std::fill(out.begin() + static_cast<ptrdiff_t>(path), out.end(), std::byte{0});
    store<uint32_t>(out, kCrcOffset, wal_record_crc(out));
    return out;
}

class Containment {
 public:
    Containment(Bytes& segment, uint64_t number, const SegmentFetch& fetch)
        : segment_(segment), number_(number), fetch_(fetch) {}

    size_t run() {
        const auto facts = decode_segment_facts(segment_);
        if (!facts)
            return 0;
        page_size_ = facts->page_size;
        // The rest of a record is patched like its beginning was.
        if (number_ > 0 && facts->first.continues() && facts->first.remaining <= kLongestCreate)
            before_ = fetch_(number_ - 1);
        WalReader reader(segment_.size(),
                         [&](uint64_t wanted) { return give(wanted, reader.position()); });
        reader.seek((before_ ? number_ - 1 : number_) * segment_.size());
        collect(reader);
        for (const Change& change : changes_)
            apply(change);
        return changes_.size();
    }

 private:
    std::optional<ByteView> give(uint64_t wanted, Lsn position) {
        if (wanted == number_)
            return ByteView(segment_);
        if (wanted + 1 == number_ && before_)
            return ByteView(*before_);
        if (wanted != number_ + 1 || !may_create_tablespace(position))
            return std::nullopt;
        after_ = fetch_(wanted);
        return after_ ? std::optional(ByteView(*after_)) : std::nullopt;
    }

    // Whether the record that begins here and goes on in the next segment may be one; its header
    // may be cut, too.
    bool may_create_tablespace(Lsn position) const {
        constexpr size_t kRmidOffset = 17;
        constexpr std::byte kRmTablespace{5};
        if (position / segment_.size() != number_)
            return false;
        const uint64_t offset = position % segment_.size();
        const uint64_t on_page = page_size_ - offset % page_size_;
        return on_page <= kRmidOffset || segment_[offset + kRmidOffset] == kRmTablespace;
    }

    void collect(WalReader& reader) {
        const Lsn end = (number_ + 1) * segment_.size();
        while (reader.position() < end) {
            const auto record = reader.next();
            if (!record || record->lsn >= end)
                return;
            const auto created = decode_tablespace_create(*record);
            const auto main_data = main_data_of(*record);
            if (created && !created->location.empty() && main_data)
                changes_.push_back({record->lsn, without_path(*record, *main_data)});
        }
    }

    // Writes what of the record lies in this segment.
    void apply(const Change& change) {
        Lsn at = change.lsn;
        for (ByteView rest = change.record; !rest.empty();) {
            if (at % page_size_ == 0)
                at += at % segment_.size() == 0 ? kLongPageHeader : kShortPageHeader;
            const ByteView piece = rest.first(std::min(page_size_ - at % page_size_, rest.size()));
            if (at / segment_.size() == number_) {
                std::ranges::copy(piece,
                                  segment_.begin() + static_cast<ptrdiff_t>(at % segment_.size()));
            }
            at += piece.size();
            rest = rest.subspan(piece.size());
        }
    }

    Bytes& segment_;
    const uint64_t number_;
    const SegmentFetch& fetch_;
    size_t page_size_ = 0;
    std::optional<Bytes> before_;
    std::optional<Bytes> after_;
    std::vector<Change> changes_;
};

}  // namespace

size_t contain_tablespaces(Bytes& segment, uint64_t number, const SegmentFetch& fetch) {
    return Containment(segment, number, fetch).run();
}

}  // namespace ark
