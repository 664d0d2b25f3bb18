#include "core/pgdata/wal_reader.hpp"

#include <algorithm>
#include <utility>

namespace ark {

namespace {

// Records, and the rest of one on its last page, are padded to 8 bytes (MAXALIGN).
uint64_t align8(uint64_t value) {
    return (value + 7) & ~uint64_t{7};
}

// Above any record that the server makes (XLogRecordMaxSize is 1020 MB).
constexpr uint32_t kMaxRecordBytes = 1 << 30;

}  // namespace

WalReader::WalReader(uint64_t segment_size, SegmentFunction segments, WalChecks checks)
    : segment_size_(segment_size), segments_(std::move(segments)), checks_(checks) {}

void WalReader::seek(Lsn lsn) {
    target_ = lsn;
    position_ = lsn;
    positioned_ = false;
    stopped_ = false;
    previous_.reset();
    timeline_ = 0;
    page_ = {};
}

std::optional<WalRecord> WalReader::next() {
    if (stopped_)
        return std::nullopt;
    if (!positioned_ && !find_first_record())
        return std::nullopt;
    for (;;) {
        std::optional<WalRecord> record = read_record();
        if (!record || record->lsn >= target_)
            return record;
    }
}

// A record that continues from before the page is passed over; it may fill many pages.
bool WalReader::find_first_record() {
    if (!load_segment(target_ / segment_size_))
        return false;
    const uint64_t page_size = facts_->page_size;
    for (Lsn address = target_ - target_ % page_size;; address += page_size) {
        if (!load_page(address))
            return false;
        const uint64_t room = page_size - page_header_.size();
        const uint64_t rest = page_header_.continues() ? align8(page_header_.remaining) : 0;
        if (page_header_.continues() && rest >= room)
            continue;
        position_ = rest == 0 ? address : address + page_header_.size() + rest;
        positioned_ = true;
        return true;
    }
}

std::optional<WalRecord> WalReader::read_record() {
    WalRecord record;
    for (Collected collected = Collected::abandoned; collected == Collected::abandoned;) {
        size_t offset = position_ % facts_->page_size;
        if (!load_page(position_ - offset))
            return std::nullopt;
        if (offset == 0 && page_header_.continues()) {
            fail(WalStopKind::bad_page, page_address_,
                 "the page continues a record, but the one before it is whole");
            return std::nullopt;
        }
        offset = std::max(offset, page_header_.size());
        record.lsn = page_address_ + offset;
        record.timeline = page_header_.timeline;
        record.magic = page_header_.magic;
        record.bytes = page_.subspan(offset);
        // A page's end never cuts the length: both are multiples of 8.
        const auto length = load<uint32_t>(record.bytes, 0);
        if (!check_length(record.lsn, length))
            return std::nullopt;
        // Before many pages are read because of a length that is garbage.
        if (record.bytes.size() >= kWalRecordHeader && !check_link(record))
            return std::nullopt;
        collected = collect(length, record);
    }
    if (record.bytes.empty() || !check_link(record) || !check_crc(record))
        return std::nullopt;
    if (is_switch(record)) {
        record.end = (record.end + segment_size_ - 1) / segment_size_ * segment_size_;
    }
    previous_ = record.lsn;
    position_ = record.end;
    return record;
}

// Gathers the record that begins on the loaded page. Where it fails, record.bytes is empty.
WalReader::Collected WalReader::collect(uint32_t length, WalRecord& record) {
    if (length <= record.bytes.size()) {
        record.bytes = record.bytes.first(length);
        record.end = align8(record.lsn + length);
        return Collected::whole;
    }
    assembled_.assign(record.bytes.begin(), record.bytes.end());
    record.bytes = {};
    while (assembled_.size() < length) {
        if (!load_page(page_address_ + facts_->page_size))
            return Collected::failed;
        if (page_header_.abandons()) {
            position_ = page_address_;
            return Collected::abandoned;
        }
        const size_t missing = length - assembled_.size();
        if (!page_header_.continues() || page_header_.remaining != missing) {
            fail(WalStopKind::bad_page, page_address_,
                 "the page does not continue the record at " + to_text(record.lsn));
            return Collected::failed;
        }
        const ByteView content = page_.subspan(page_header_.size());
        const ByteView piece = content.first(std::min(missing, content.size()));
        assembled_.insert(assembled_.end(), piece.begin(), piece.end());
        record.end = align8(page_address_ + page_header_.size() + piece.size());
    }
    record.bytes = assembled_;
    return Collected::whole;
}

bool WalReader::check_length(Lsn at, uint32_t length) {
    if (length == 0)
        return fail(WalStopKind::empty_page, at, "there is no further record");
    if (length < kWalRecordHeader || length > kMaxRecordBytes) {
        return fail(WalStopKind::bad_record, at,
                    "a record has the impossible length " + std::to_string(length));
    }
    return true;
}

bool WalReader::check_link(const WalRecord& record) {
    const bool good = previous_ ? record.previous() == *previous_ : record.previous() < record.lsn;
    if (good)
        return true;
    return fail(WalStopKind::bad_record, record.lsn,
                "the record names " + to_text(record.previous()) + " as the one before it" +
                    (previous_ ? ", but that is at " + to_text(*previous_) : ""));
}

bool WalReader::check_crc(const WalRecord& record) {
    if (checks_ == WalChecks::structure && !is_switch(record))
        return true;
    if (wal_record_crc(record.bytes) == record.crc())
        return true;
    return fail(WalStopKind::bad_checksum, record.lsn, "a record does not match its checksum");
}

// Makes the page at this address the current one.
bool WalReader::load_page(Lsn address) {
    if (address == page_address_ && !page_.empty())
        return true;  // most records begin on the page that the one before began on
    page_ = {};
    if (!load_segment(address / segment_size_))
        return false;
    const uint64_t offset = address % segment_size_;
    if (segment_.size() < offset + facts_->page_size) {
        return fail(WalStopKind::missing_segment, address, "the segment's bytes end");
    }
    const ByteView page = segment_.subspan(offset, facts_->page_size);
    page_header_ = decode_page_header(page);
    if (!check_page(address, page))
        return false;
    page_ = page;
    page_address_ = address;
    return true;
}

bool WalReader::check_page(Lsn address, ByteView page) {
    if (page_header_.magic == 0 && is_all_zero(page)) {
        return fail(WalStopKind::empty_page, address, "the page is empty");
    }
    if (page_header_.magic != facts_->first.magic) {
        return fail(WalStopKind::bad_page, address,
                    "the page does not have the magic number of WAL");
    }
    if (page_header_.address != address) {
        return fail(
            WalStopKind::bad_page, address,
            "the page says that it is the one at " + to_text(page_header_.address) +
                (page_header_.address < address ? ": it is left from an earlier use of the file"
                                                : ""));
    }
    if (page_header_.is_long() != (address % segment_size_ == 0)) {
        return fail(WalStopKind::bad_page, address, "the page has the wrong kind of header");
    }
    if (page_header_.timeline < timeline_) {
        return fail(WalStopKind::bad_page, address,
                    "the page is of timeline " + std::to_string(page_header_.timeline) +
                        ", those before it are of timeline " + std::to_string(timeline_));
    }
    timeline_ = page_header_.timeline;
    return true;
}

bool WalReader::load_segment(uint64_t number) {
    if (segment_number_ == number)
        return true;
    segment_number_.reset();
    const Lsn begin = number * segment_size_;
    const std::optional<ByteView> bytes = segments_(number);
    if (!bytes)
        return fail(WalStopKind::missing_segment, begin, "the segment is not there");
    const std::optional<WalSegmentFacts> facts = decode_segment_facts(*bytes);
    if (!facts) {
        const ByteView first = bytes->first(std::min<size_t>(bytes->size(), 8192));
        return fail(is_all_zero(first) ? WalStopKind::empty_page : WalStopKind::bad_page, begin,
                    "the segment does not begin with a page header of WAL");
    }
    if (!facts_)
        facts_ = facts;
    if (facts->system_identifier != facts_->system_identifier ||
        facts->segment_size != segment_size_ || facts->page_size != facts_->page_size) {
        return fail(WalStopKind::bad_page, begin, "the segment is from another cluster");
    }
    segment_ = *bytes;
    segment_number_ = number;
    return true;
}

bool WalReader::fail(WalStopKind kind, Lsn at, std::string reason) {
    stop_ = {kind, at, std::move(reason)};
    stopped_ = true;
    return false;
}

}  // namespace ark
