#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "core/base/bytes.hpp"
#include "core/pgdata/wal_name.hpp"
#include "core/pgdata/wal_page.hpp"
#include "core/pgdata/wal_record.hpp"

namespace ark {

/// Why a reader can go no further.
enum class WalStopKind {
    missing_segment,  ///< the source has no more: everything before `at` was read
    empty_page,       ///< zeros where a page or a record should begin
    bad_page,         ///< a page header that doesn't belong here
    bad_record,       ///< a record's header that isn't one
    bad_checksum,     ///< a record that is there up to its length, and does not match its checksum
};
struct WalStop {
    WalStopKind kind = WalStopKind::missing_segment;
    Lsn at = 0;          ///< the page or record that could not be read
    std::string reason;  ///< a sentence without its full stop
};

enum class WalChecks {
    all,        ///< with the CRC-32C of every record
    structure,  ///< page headers, lengths, links between records; the CRC of switch records alone
};

/// Walks over WAL, record after record, across pages and segments, by the rules of the server's own
/// reader (src/backend/access/transam/xlogreader.c). Used by one thread.
class WalReader {
 public:
    /// Gives a segment's bytes, or its beginning (the walk then ends where they do); nullopt when
    /// there is none. The view stays valid until the next call. What it throws comes through.
    using SegmentFunction = std::function<std::optional<ByteView>(uint64_t number)>;

    WalReader(uint64_t segment_size, SegmentFunction segments, WalChecks checks = WalChecks::all);

    /// The next call of next() gives the first record that begins at or after `lsn`.
    void seek(Lsn lsn);

    /// The next record; nullopt at the end of valid WAL, and from then on until the next seek.
    std::optional<WalRecord> next();

    /// Valid after next() gave nullopt.
    const WalStop& stop() const { return stop_; }
    /// Where the last whole record ended; before the first, where it is looked for.
    Lsn position() const { return position_; }
    /// The highest timeline of a page since the last seek.
    TimelineId timeline() const { return timeline_; }

 private:
    enum class Collected { whole, abandoned, failed };

    bool find_first_record();
    std::optional<WalRecord> read_record();
    Collected collect(uint32_t length, WalRecord& record);
    bool check_length(Lsn at, uint32_t length);
    bool check_link(const WalRecord& record);
    bool check_crc(const WalRecord& record);
    bool load_page(Lsn address);
    bool check_page(Lsn address, ByteView page);
    bool load_segment(uint64_t number);
    bool fail(WalStopKind kind, Lsn at, std::string reason);

    uint64_t segment_size_;
    SegmentFunction segments_;
    WalChecks checks_;

    Lsn target_ = 0;    ///< records before it are passed over
    Lsn position_ = 0;  ///< where the next record is looked for
    bool positioned_ = false;
    bool stopped_ = true;
    WalStop stop_;
    std::optional<Lsn> previous_;  ///< where the record before began: each record names it
    TimelineId timeline_ = 0;      ///< highest seen: it never goes down

    std::optional<WalSegmentFacts> facts_;  ///< of the first segment read; the others must agree
    std::optional<uint64_t> segment_number_;
    ByteView segment_;
    Lsn page_address_ = 0;
    ByteView page_;  ///< at page_address_, and checked; or empty
    WalPageHeader page_header_;
    Bytes assembled_;  ///< a record that spans pages
};

}  // namespace ark
