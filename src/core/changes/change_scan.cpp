#include "core/changes/change_scan.hpp"

#include <algorithm>
#include <utility>

#include "core/base/error.hpp"

namespace ark {

ChangeScan::ChangeScan(TimelineId timeline, Lsn from, uint64_t segment_size,
                       WalReader::SegmentFunction segments)
    : segment_size_(segment_size), segments_(std::move(segments)), position_(from) {
    changes_.range = {timeline, from, from};
}

bool ChangeScan::read_to(Lsn to, ScanEnd end) {
    if (to < changes_.range.to || (changes_.last_record != 0 && changes_.last_record >= to))
        throw Error(ErrorCode::internal, "a scan of WAL was told to go back");
    whole_ = false;
    if (position_ < to) {
        // A reader of its own each time: bytes that it has seen may be more now.
        WalReader reader(segment_size_, [&](uint64_t number) {
            auto bytes = segments_(number);
            if (const auto facts = bytes ? decode_segment_facts(*bytes) : std::nullopt)
                check_origin(*facts);
            return bytes;
        });
        reader.seek(position_);
        if (page_size_ == 0)
            look_at_first_segment();
        while (position_ < to) {
            // A place behind a page's header is one that backups name as their start. What comes
            // there need not be flushed, and need not be asked for.
            if (is_at_header_before(to)) {
                position_ = to;
                break;
            }
            const auto record = reader.next();
            if (!record) {
                stop_ = reader.stop();
                // Behind a timeline's end there may be anything.
                if (end == ScanEnd::more || stop_.at < to)
                    return false;
                position_ = to;
            } else if (record->lsn < to) {
                take_in(*record);
            } else {
                position_ = to;  // what lies between is of a record that was never finished
            }
        }
    }
    changes_.range.to = to;
    whole_ = true;
    return true;
}

void ChangeScan::look_at_first_segment() {
    const auto bytes = segments_(position_ / segment_size_);
    if (const auto facts = bytes ? decode_segment_facts(*bytes) : std::nullopt)
        check_origin(*facts);
}

bool ChangeScan::is_at_header_before(Lsn to) const {
    if (page_size_ == 0 || position_ % page_size_ != 0)
        return false;
    const size_t header = position_ % segment_size_ == 0 ? kLongPageHeader : kShortPageHeader;
    return to <= position_ + header;
}

void ChangeScan::check_origin(const WalSegmentFacts& facts) {
    page_size_ = facts.page_size;
    uint64_t& known = changes_.system_identifier;
    if (known != 0 && known != facts.system_identifier) {
        throw Error(ErrorCode::corrupt, "WAL is from another cluster",
                    "Its system identifier is " + std::to_string(facts.system_identifier) +
                        ", that of the WAL before it is " + std::to_string(known) + ".");
    }
    known = facts.system_identifier;
}

void ChangeScan::take_in(const WalRecord& record) {
    if (last_record_ != 0 && record.previous() != last_record_) {
        throw Error(ErrorCode::corrupt, "WAL does not go on as it was read",
                    "The record at " + to_text(record.lsn) + " names " +
                        to_text(record.previous()) + " as the one before it, but that is at " +
                        to_text(last_record_) + ".");
    }
    if (record.timeline > changes_.range.timeline) {
        throw Error(ErrorCode::corrupt, "WAL is of another timeline",
                    "The record at " + to_text(record.lsn) + " lies on a page of timeline " +
                        std::to_string(record.timeline) + ", not " +
                        std::to_string(changes_.range.timeline) + " or one before it.");
    }
    record_changes_.decode(record);
    record_changes_.add_to(changes_.table);
    if (record_changes_.ends_completeness())
        changes_.minimal_at = record.lsn;
    if (const auto start = record_changes_.ended_backup())
        changes_.backups.push_back({*start, record.end});
    if (changes_.last_record == 0)
        changes_.previous_record = record.previous();
    changes_.last_record = record.lsn;
    last_record_ = record.lsn;
    position_ = record.end;
    if (on_record)
        on_record(record, record_changes_);
}

RangeChanges ChangeScan::take() {
    if (!whole_)
        throw Error(ErrorCode::internal, "a change table was taken before it was whole");
    RangeChanges out = std::exchange(changes_, {});
    changes_.range = {out.range.timeline, out.range.to, out.range.to};
    changes_.system_identifier = out.system_identifier;
    whole_ = false;
    return out;
}

RangeChanges ChangeScan::peek() const {
    RangeChanges out = changes_;
    out.range.to = std::max(position_, changes_.range.to);
    return out;
}

}  // namespace ark
