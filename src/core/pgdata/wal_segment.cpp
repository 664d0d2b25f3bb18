#include "core/pgdata/wal_segment.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "core/pgdata/wal_reader.hpp"

namespace ark {

namespace {

Error bad_segment(const std::string& name, const std::string& what, const std::string& detail) {
    return {ErrorCode::corrupt, "WAL file \"" + name + "\" " + what, detail};
}

WalSegmentFacts facts_of(ByteView bytes, const std::string& name) {
    const auto facts = decode_segment_facts(bytes);
    if (facts)
        return *facts;
    throw bad_segment(name, "is not a WAL segment",
                      is_all_zero(bytes.first(std::min<size_t>(bytes.size(), 8192)))
                          ? "It begins with zeros."
                          : "It does not begin with the page header of a segment.");
}

Error wrong_size(ByteView bytes, const std::string& name, const WalSegmentFacts& facts,
                 uint64_t expected) {
    return bad_segment(name, "has the wrong size",
                       "It has " + std::to_string(bytes.size()) + " bytes, its header says " +
                           std::to_string(facts.segment_size) + ", the cluster's segments have " +
                           std::to_string(expected) + ".");
}

std::string place_in(uint64_t number, uint64_t segment_size, Lsn at) {
    return "At " + to_text(at) + " (byte " + std::to_string(at - number * segment_size) + "): ";
}

// Reads one segment by itself: a record that goes on in the next one ends the walk there.
class SegmentWalk {
 public:
    SegmentWalk(ByteView bytes, uint64_t number)
        : reader_(
              bytes.size(),
              [bytes, number](uint64_t wanted) {
                  return wanted == number ? std::optional(bytes) : std::nullopt;
              },
              WalChecks::structure) {
        reader_.seek(number * bytes.size());
        while (reader_.next()) {
        }
    }
    const WalStop& stop() const { return reader_.stop(); }
    TimelineId last_timeline() const { return reader_.timeline(); }

 private:
    WalReader reader_;
};

}  // namespace

WalSegmentFacts check_segment_begin(ByteView bytes, const std::string& name,
                                    const WalOrigin& origin) {
    const WalSegmentFacts facts = facts_of(bytes, name);
    if (facts.segment_size != origin.segment_size.value_or(facts.segment_size))
        throw wrong_size(bytes, name, facts, *origin.segment_size);
    if (origin.system_identifier && facts.system_identifier != *origin.system_identifier) {
        throw bad_segment(name, "is from another cluster",
                          "Its system identifier is " + std::to_string(facts.system_identifier) +
                              ", the cluster's is " + std::to_string(*origin.system_identifier) +
                              ".");
    }
    const WalFileName parsed = parse_wal_file_name(name).value();
    const Lsn begin = parsed.segment_number(facts.segment_size) * facts.segment_size;
    if (facts.first.address != begin) {
        throw bad_segment(name, "does not hold the WAL that its name says",
                          "Its first page is the one at " + to_text(facts.first.address) +
                              (facts.first.address < begin
                                   ? ": it is a recycled file that was not written to yet."
                                   : "."));
    }
    if (facts.first.timeline == 0 || facts.first.timeline > parsed.timeline) {
        throw bad_segment(
            name, "is of another timeline than its name says",
            "Its first page is of timeline " + std::to_string(facts.first.timeline) + ".");
    }
    return facts;
}

uint64_t check_segment_header(ByteView bytes, const std::string& name, const WalOrigin& origin) {
    const WalSegmentFacts facts = facts_of(bytes, name);
    const uint64_t expected_size = origin.segment_size.value_or(facts.segment_size);
    if (bytes.size() != expected_size || facts.segment_size != expected_size)
        throw wrong_size(bytes, name, facts, expected_size);
    check_segment_begin(bytes, name, origin);
    return facts.first.address / bytes.size();
}

void check_complete_segment(ByteView bytes, const std::string& name, const WalOrigin& origin) {
    const uint64_t number = check_segment_header(bytes, name, origin);
    const SegmentWalk walk(bytes, number);
    const WalStop& stop = walk.stop();
    if (stop.kind != WalStopKind::missing_segment) {
        const std::string why = stop.kind == WalStopKind::empty_page
                                    ? stop.reason + ", and no switch record ends the segment."
                                    : stop.reason + ".";
        throw bad_segment(name, "is not complete", place_in(number, bytes.size(), stop.at) + why);
    }
    const auto timeline = parse_wal_file_name(name).value().timeline;
    if (walk.last_timeline() > timeline) {
        throw bad_segment(name, "is of another timeline than its name says",
                          "It has pages of timeline " + std::to_string(walk.last_timeline()) + ".");
    }
}

Lsn end_of_valid_pages(ByteView bytes, uint64_t number) {
    return SegmentWalk(bytes, number).stop().at;
}

void cut_segment(MutableByteView bytes, uint64_t number, Lsn end) {
    const Lsn begin = number * bytes.size();
    if (end >= begin + bytes.size())
        return;
    const uint64_t keep = end > begin ? end - begin : 0;
    std::ranges::fill(bytes.subspan(keep), std::byte{0});
}

}  // namespace ark
