// Test builds only: shows what the engine reads from a server's WAL, for
// test/tap/060_wal_changes.pl, which has another program's word to compare it with.
#if defined(PG_ARK_TEST_FAULTS)

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "cli/command.hpp"
#include "core/base/file.hpp"
#include "core/changes/change_chain.hpp"
#include "core/changes/change_scan.hpp"
#include "core/changes/file_changes.hpp"

namespace ark {

namespace {

std::string text_of(const RelationId& id) {
    return std::to_string(id.tablespace) + "/" + std::to_string(id.database) + "/" +
           std::to_string(id.filenode);
}

// Segments of one directory: of the timeline, else of the one before it.
class Directory {
 public:
    Directory(std::string path, TimelineId timeline, uint64_t segment_size)
        : path_(std::move(path)), timeline_(timeline), segment_size_(segment_size) {}

    std::optional<ByteView> read(uint64_t number) {
        for (TimelineId timeline = timeline_; timeline > 0; --timeline) {
            const std::string name = segment_name({timeline, number}, segment_size_);
            if (auto bytes = read_file_if_exists(path_ + "/" + name, segment_size_)) {
                segment_ = std::move(*bytes);
                return segment_;
            }
        }
        return std::nullopt;
    }

 private:
    const std::string path_;
    const TimelineId timeline_;
    const uint64_t segment_size_;
    Bytes segment_;
};

void print_record(const WalRecord& record, const RecordChanges& changes) {
    const std::string lsn = to_text(record.lsn);
    for (const DatabaseId& id : changes.databases())
        std::printf("%s database %u/%u\n", lsn.c_str(), id.tablespace, id.database);
    for (const ForkLimit& limit : changes.limits()) {
        std::printf("%s limit %s %s %u\n", lsn.c_str(), text_of(limit.relation).c_str(),
                    name_of(limit.fork), limit.blocks);
    }
    for (const WalBlock& block : changes.blocks()) {
        std::printf("%s block %s %s %u\n", lsn.c_str(), text_of(block.relation).c_str(),
                    name_of(block.fork), block.block);
    }
}

void print_table(const ChangeTable& table) {
    for (const DatabaseId& id : table.databases())
        std::printf("table database %u/%u\n", id.tablespace, id.database);
    for (const auto& [id, changes] : table.sorted()) {
        std::string line = "table relation " + text_of(id) + " ";
        line += changes->limit ? std::to_string(*changes->limit) : "-";
        changes->blocks.for_each_run(0, UINT32_MAX, [&](uint64_t first, uint64_t length) {
            line += " " + std::to_string(first) + "+" + std::to_string(length);
        });
        std::printf("%s\n", line.c_str());
    }
}

// A line: path, bytes, the parent's bytes or "-". What to copy of each.
void answer_files(const ChangeTable& table, const BlockSizes& sizes) {
    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream words(line);
        std::string path;
        std::string parent;
        FileState file;
        words >> path >> file.bytes >> parent;
        file.path = parse_relation_path(path);
        if (parent != "-")
            file.parent_bytes = std::stoull(parent);
        const FileChanges changes = changes_of(file, table, sizes);
        std::string out = "file " + path;
        if (changes.whole)
            out += std::string(" whole ") + describe(*changes.whole);
        else
            out += " blocks";
        for (const BlockRun& run : changes.runs)
            out += " " + std::to_string(run.first) + "+" + std::to_string(run.length);
        std::printf("%s\n", out.c_str());
    }
}

TimelineHistory history_in(const std::string& directory, TimelineId timeline) {
    const auto content =
        read_file_if_exists(directory + "/" + history_name(timeline), size_t{1} << 20);
    return content ? TimelineHistory::parse(timeline, as_text(*content))
                   : TimelineHistory(timeline);
}

// A range of the way, timeline by timeline, in tables as they would be stored: of a segment each,
// or each timeline's at once.
class Tables {
 public:
    Tables(std::string directory, uint64_t segment_size, ChangeRange range)
        : directory_(std::move(directory)),
          segment_size_(segment_size),
          range_(range),
          way_(history_in(directory_, range.timeline)) {}

    std::function<void(const WalRecord&, const RecordChanges&)> on_record;

    void read(bool by_segments) {
        stored_.clear();
        ranges_.clear();
        for (const TimelineId timeline : way_.timelines()) {
            const ChangeRange part{timeline, std::max(range_.from, way_.begin_of(timeline)),
                                   std::min(range_.to, way_.end_of(timeline))};
            if (part.from < part.to)
                read(part, by_segments);
        }
    }
    ChangeTable combined() const {
        const ChangeQuestion question{way_,
                                      system_identifier_,
                                      {way_.timeline_at(range_.from), range_.from, range_.from},
                                      range_.to,
                                      /*parent_has_end=*/false};
        ChangeAnswer answer = combine_changes(question, ranges_, [&](const ChangeRange& wanted) {
            const auto at = std::ranges::find(ranges_, wanted) - ranges_.begin();
            return std::optional(decode_changes(stored_.at(static_cast<size_t>(at)), "x"));
        });
        if (!answer.table)
            throw Error(ErrorCode::refused, answer.why_not);
        return std::move(*answer.table);
    }
    size_t bytes() const {
        size_t bytes = 0;
        for (const Bytes& table : stored_)
            bytes += table.size();
        return bytes;
    }

 private:
    void read(const ChangeRange& part, bool by_segments) {
        Directory directory(directory_, part.timeline, segment_size_);
        ChangeScan scan(part.timeline, part.from, segment_size_,
                        [&](uint64_t number) { return directory.read(number); });
        scan.on_record = on_record;
        const bool ends = part.timeline != way_.timeline();
        for (Lsn to = part.from; to < part.to;) {
            to = by_segments ? end_of_table(to, segment_size_, part.to) : part.to;
            const bool last = ends && to == part.to;
            if (!scan.read_to(to, last ? ScanEnd::of_timeline : ScanEnd::more))
                throw Error(ErrorCode::not_found, scan.stop().reason);
            const RangeChanges changes = scan.take();
            system_identifier_ = changes.system_identifier;
            ranges_.push_back(changes.range);
            stored_.push_back(encode_changes(changes));
        }
    }

    const std::string directory_;
    const uint64_t segment_size_;
    const ChangeRange range_;
    const TimelineHistory way_;
    uint64_t system_identifier_ = 0;
    std::vector<Bytes> stored_;
    std::vector<ChangeRange> ranges_;
};

}  // namespace

// pg_ark test-changes DIRECTORY TIMELINE FROM TO SEGMENT_SIZE SEGMENT_BLOCKS events|table|pieces
int run_test_changes(int argc, char** argv) {
    if (argc != 9)
        return kExitUsage;
    const ChangeRange range{static_cast<TimelineId>(std::stoul(argv[3])),
                            parse_lsn(argv[4]).value(), parse_lsn(argv[5]).value()};
    const std::string what = argv[8];
    Tables tables(argv[2], std::stoull(argv[6]), range);
    try {
        uint64_t records = 0;
        tables.on_record = [&](const WalRecord& record, const RecordChanges& changes) {
            ++records;
            if (what == "events")
                print_record(record, changes);
        };
        const auto begin = std::chrono::steady_clock::now();
        tables.read(what == "pieces");
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
        if (what == "events")
            return 0;
        const ChangeTable table = tables.combined();
        std::fprintf(stderr,
                     "%.3f s, %.0f MB/s, %llu records, %zu relations, %llu blocks, memory %llu "
                     "bytes, encoded %zu bytes\n",
                     took.count(), static_cast<double>(range.to - range.from) / 1e6 / took.count(),
                     static_cast<unsigned long long>(records), table.relations(),
                     static_cast<unsigned long long>(table.blocks()),
                     static_cast<unsigned long long>(table.memory_bytes()), tables.bytes());
        print_table(table);
        answer_files(table, {8192, static_cast<uint32_t>(std::stoul(argv[7]))});
    } catch (const Error& error) {
        print_error(error, OutputFormat::text);
        return exit_status_of(error.code);
    }
    return 0;
}

}  // namespace ark

#endif
