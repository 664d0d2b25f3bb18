#include "core/pgdata/wal_segment.hpp"

#include "core/pgdata/wal_reader.hpp"
#include "test/fuzz/target.hpp"
#include "test/unit/wal_builder.hpp"

namespace ark::fuzz {
namespace {

using test::WalBuilder;

// An input is the first pages of a segment; zeros follow.
constexpr size_t kMost = 4 * WalBuilder::kPageSize;
const std::string kName = WalBuilder::name(1);

Bytes beginning_of(const WalBuilder& wal, size_t pages) {
    Bytes out = wal.segment(1);
    out.resize(pages * WalBuilder::kPageSize);
    return out;
}

std::vector<Bytes> seeds() {
    WalBuilder every;
    every.add_commit(700, 1);
    every.add_abort(701, 2);
    every.add_restore_point("before", 3);
    every.add_tablespace(16400, "/mnt/a");
    every.add_of_size(9000);  // across pages
    every.add_abandoned(9000);
    every.add_commit(702, 4);
    every.add_switch();
    WalBuilder short_one;
    short_one.add_switch();
    return {beginning_of(every, 4), beginning_of(short_one, 1)};
}

void decode(const WalRecord& record) {
    require(record.bytes.size() >= kWalRecordHeader, "a record has its header");
    static_cast<void>(main_data_of(record));
    static_cast<void>(decode_transaction_end(record));
    static_cast<void>(decode_restore_point(record));
    static_cast<void>(decode_tablespace_create(record));
    static_cast<void>(decode_database_copy(record));
}

void walk(ByteView segment, WalChecks checks) {
    WalReader reader(
        WalBuilder::kSegmentSize,
        [segment](uint64_t number) { return number == 1 ? std::optional(segment) : std::nullopt; },
        checks);
    reader.seek(WalBuilder::kSegmentSize);
    Lsn last = 0;
    while (const auto record = reader.next()) {
        require(record->lsn > last && record->end > record->lsn, "records go on");
        last = record->lsn;
        decode(*record);
    }
}

void run(ByteView input) {
    static Bytes segment(WalBuilder::kSegmentSize);
    const ByteView pages = input.first(std::min(input.size(), kMost));
    std::ranges::copy(pages, segment.begin());
    std::fill(segment.begin() + static_cast<ptrdiff_t>(pages.size()),
              segment.begin() + static_cast<ptrdiff_t>(kMost), std::byte{0});
    for (const WalChecks checks : {WalChecks::all, WalChecks::structure})
        walk(segment, checks);
    const WalOrigin origin{WalBuilder::kSystemIdentifier, WalBuilder::kSegmentSize};
    answers([&] { return check_segment_begin(input, kName, {}); });
    answers([&] { return check_segment_header(input, kName, {}); });
    answers([&] { check_complete_segment(segment, kName, origin); });
    uint64_t number = 0;
    if (answers([&] { number = check_segment_header(segment, kName, origin); })) {
        const Lsn end = end_of_valid_pages(segment, number);
        require(end >= number * segment.size() && end <= (number + 1) * segment.size(),
                "what is valid ends in the segment");
    }
}

const Target target("wal_segment", seeds, run);

}  // namespace
}  // namespace ark::fuzz
