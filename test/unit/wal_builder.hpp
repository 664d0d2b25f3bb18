#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "core/base/bytes.hpp"
#include "core/base/crc32c.hpp"
#include "core/pgdata/wal_name.hpp"

namespace ark::test {

/// Makes WAL as the server does, page by page, for tests.
class WalBuilder {
 public:
    static constexpr uint64_t kSystemIdentifier = 7123456789012345678;
    static constexpr uint32_t kPageSize = 8192;
    static constexpr uint64_t kSegmentSize = 1 << 20;

    explicit WalBuilder(uint64_t first_segment = 1, TimelineId timeline = 1)
        : timeline_(timeline), position_(first_segment * kSegmentSize) {}

    uint16_t magic = 0xD110;
    uint64_t system_identifier = kSystemIdentifier;

    Lsn position() const { return position_; }
    void set_timeline(TimelineId timeline) { timeline_ = timeline; }

    /// Appends a record with this main data; where it begins.
    Lsn add(uint8_t rmid, uint8_t info, uint32_t xid, ByteView main_data) {
        return write(make(rmid, info, xid, main_data, main_data.size() < 256));
    }
    Lsn add(uint8_t rmid, uint8_t info, uint32_t xid, std::string_view main_data) {
        return add(rmid, info, xid, as_bytes(main_data));
    }

    /// Appends a record of which `body` is everything behind its header.
    Lsn add_body(uint8_t rmid, uint8_t info, uint32_t xid, ByteView body) {
        Bytes record(24);
        record.insert(record.end(), body.begin(), body.end());
        return write(seal(std::move(record), rmid, info, xid));
    }

    Lsn add_switch() {
        const Lsn lsn = write(make(0, 0x40, 0, {}, true));
        position_ = (position_ + kSegmentSize - 1) / kSegmentSize * kSegmentSize;
        return lsn;
    }
    Lsn add_commit(uint32_t xid, int64_t postgres_time) {
        return add(1, 0x00, xid, std::as_bytes(std::span(&postgres_time, 1)));
    }
    Lsn add_abort(uint32_t xid, int64_t postgres_time) {
        return add(1, 0x20, xid, std::as_bytes(std::span(&postgres_time, 1)));
    }
    Lsn add_restore_point(std::string_view name, int64_t postgres_time) {
        Bytes data(8 + 64);
        store<int64_t>(data, 0, postgres_time);
        std::memcpy(data.data() + 8, name.data(), name.size());
        return add(0, 0x70, 0, data);
    }
    Lsn add_tablespace(uint32_t oid, std::string_view location) {
        Bytes data(4 + location.size() + 1);
        store<uint32_t>(data, 0, oid);
        std::memcpy(data.data() + 4, location.data(), location.size());
        return add(5, 0x00, 700, data);
    }

    /// Records up to exactly the end of the current segment.
    void fill_segment() {
        const uint64_t number = position_ / kSegmentSize;
        while (position_ / kSegmentSize == number) {
            const uint64_t left = room_in_segment();
            // A record takes 24 bytes and a data header of 2 or 5; what is left behind it must hold
            // one.
            const uint64_t total = left <= 2000 ? left : std::min<uint64_t>(1000, left - 1000);
            write(make_of_size(static_cast<uint32_t>(total)));
        }
    }
    /// Records up to so many bytes (a multiple of 8, 8 at least) before the segment's end.
    void fill_segment_but(uint64_t left) {
        while (room_in_segment() > left) {
            const uint64_t room = room_in_segment() - left;
            const uint64_t total = room <= 2000 ? room : std::min<uint64_t>(1000, room - 1000);
            write(make_of_size(static_cast<uint32_t>(total)));
        }
    }
    /// One record of exactly this many bytes, header included.
    Lsn add_of_size(uint32_t total) { return write(make_of_size(total)); }

    /// The server dies when this much of a record of `total` bytes is on disk as fits on the
    /// current page, and recovery goes on behind it with other records.
    void add_abandoned(uint32_t total) {
        const Lsn previous = previous_;
        const Bytes record = make_of_size(total);
        const uint64_t used =
            position_ % kPageSize == 0 ? header_size(position_) : position_ % kPageSize;
        put(ByteView(record).first(kPageSize - used));
        previous_ = previous;
        abandons_ = true;
    }

    /// The segment's bytes; what was not written is zero.
    Bytes segment(uint64_t number) const {
        const auto found = segments_.find(number);
        return found == segments_.end() ? Bytes(kSegmentSize) : found->second;
    }
    static std::string name(uint64_t number, TimelineId timeline = 1) {
        return segment_name({timeline, number}, kSegmentSize);
    }

 private:
    static uint64_t align8(uint64_t value) { return (value + 7) & ~uint64_t{7}; }

    static uint64_t header_size(Lsn page) { return page % kSegmentSize == 0 ? 40 : 24; }

    // Content bytes up to the segment's end.
    uint64_t room_in_segment() const {
        uint64_t room = 0;
        Lsn at = position_;
        do {
            if (at % kPageSize == 0)
                at += header_size(at);
            const Lsn page_end = (at / kPageSize + 1) * kPageSize;
            room += page_end - at;
            at = page_end;
        } while (at % kSegmentSize != 0);
        return room;
    }

    Bytes make(uint8_t rmid, uint8_t info, uint32_t xid, ByteView main_data, bool is_short) const {
        const size_t header = main_data.empty() ? 24 : is_short ? 26 : 29;
        Bytes record(header + main_data.size());
        if (!main_data.empty())
            record[24] = std::byte{is_short ? uint8_t{255} : uint8_t{254}};
        if (header == 26)
            store<uint8_t>(record, 25, static_cast<uint8_t>(main_data.size()));
        if (header == 29)
            store<uint32_t>(record, 25, static_cast<uint32_t>(main_data.size()));
        std::ranges::copy(main_data, record.begin() + static_cast<ptrdiff_t>(header));
        return seal(std::move(record), rmid, info, xid);
    }
    // Fills in the header.
    Bytes seal(Bytes record, uint8_t rmid, uint8_t info, uint32_t xid) const {
        store<uint32_t>(record, 0, static_cast<uint32_t>(record.size()));
        store<uint32_t>(record, 4, xid);
        store<uint64_t>(record, 8, previous_);
        store<uint8_t>(record, 16, info);
        store<uint8_t>(record, 17, rmid);
        const uint32_t crc =
            crc32c(crc32c(0, ByteView(record).subspan(24)), ByteView(record).first(20));
        store<uint32_t>(record, 20, crc);
        return record;
    }
    Bytes make_of_size(uint32_t total) const {
        // Sizes 25 and 26 cannot be: no data has no header.
        const bool is_short = total - 26 < 256;
        return make(10, 0, 600, Bytes(total - (is_short ? 26 : 29), std::byte{0x5A}), is_short);
    }

    Lsn write(const Bytes& record) {
        const Lsn lsn = position_ % kPageSize == 0 ? position_ + header_size(position_) : position_;
        put(record);
        previous_ = lsn;
        position_ = align8(position_);
        return lsn;
    }

    void put(ByteView bytes) {
        const size_t total = bytes.size();
        while (!bytes.empty()) {
            if (position_ % kPageSize == 0) {
                start_page(bytes.size() < total ? static_cast<uint32_t>(bytes.size()) : 0);
            }
            const size_t room = kPageSize - position_ % kPageSize;
            const ByteView piece = bytes.first(std::min(room, bytes.size()));
            std::ranges::copy(piece,
                              current().begin() + static_cast<ptrdiff_t>(position_ % kSegmentSize));
            position_ += piece.size();
            bytes = bytes.subspan(piece.size());
        }
    }

    void start_page(uint32_t remaining) {
        const bool is_long = position_ % kSegmentSize == 0;
        const auto page = MutableByteView(current()).subspan(position_ % kSegmentSize);
        store<uint16_t>(page, 0, magic);
        store<uint16_t>(page, 2,
                        static_cast<uint16_t>((remaining > 0 ? 1 : 0) | (is_long ? 2 : 0) |
                                              (abandons_ ? 8 : 0)));
        store<uint32_t>(page, 4, timeline_);
        store<uint64_t>(page, 8, position_);
        store<uint32_t>(page, 16, remaining);
        if (is_long) {
            store<uint64_t>(page, 24, system_identifier);
            store<uint32_t>(page, 32, static_cast<uint32_t>(kSegmentSize));
            store<uint32_t>(page, 36, kPageSize);
        }
        abandons_ = false;
        position_ += header_size(position_);
    }

    Bytes& current() {
        Bytes& segment = segments_[position_ / kSegmentSize];
        if (segment.empty())
            segment.resize(kSegmentSize);
        return segment;
    }

    TimelineId timeline_;
    Lsn position_;
    Lsn previous_ = 0;
    bool abandons_ = false;
    std::map<uint64_t, Bytes> segments_;
};

}  // namespace ark::test
