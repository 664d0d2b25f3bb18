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

// The same range in tables of one segment each, as they would be stored and combined.
ChangeTable in_pieces(const ChangeRange& range, uint64_t segment_size, Directory& directory) {
    ChangeScan scan(range.timeline, range.from, segment_size,
                    [&](uint64_t number) { return directory.read(number); });
    std::vector<Bytes> stored;
    std::vector<ChangeRange> ranges;
    uint64_t system_identifier = 0;
    for (Lsn to = range.from; to < range.to;) {
        to = std::min(range.to, (to / segment_size + 1) * segment_size);
        if (!scan.read_to(to))
            throw Error(ErrorCode::not_found, scan.stop().reason);
        const RangeChanges changes = scan.take();
        system_identifier = changes.system_identifier;
        ranges.push_back(changes.range);
        stored.push_back(encode_changes(changes));
    }
    const ChangeQuestion question{TimelineHistory(range.timeline),
                                  system_identifier,
                                  {range.timeline, range.from, range.from},
                                  range.to};
    ChangeAnswer answer = combine_changes(question, ranges, [&](const ChangeRange& wanted) {
        const auto at = std::ranges::find(ranges, wanted) - ranges.begin();
        return std::optional(decode_changes(stored.at(static_cast<size_t>(at)), "piece"));
    });
    if (!answer.table)
        throw Error(ErrorCode::refused, answer.why_not);
    return std::move(*answer.table);
}

}  // namespace

// pg_ark test-changes DIRECTORY TIMELINE FROM TO SEGMENT_SIZE SEGMENT_BLOCKS events|table|time
int run_test_changes(int argc, char** argv) {
    if (argc != 9)
        return kExitUsage;
    const ChangeRange range{static_cast<TimelineId>(std::stoul(argv[3])),
                            parse_lsn(argv[4]).value(), parse_lsn(argv[5]).value()};
    const uint64_t segment_size = std::stoull(argv[6]);
    const std::string what = argv[8];
    Directory directory(argv[2], range.timeline, segment_size);
    try {
        const auto begin = std::chrono::steady_clock::now();
        ChangeScan scan(range.timeline, range.from, segment_size,
                        [&](uint64_t number) { return directory.read(number); });
        uint64_t records = 0;
        scan.on_record = [&](const WalRecord& record, const RecordChanges& changes) {
            ++records;
            if (what == "events")
                print_record(record, changes);
        };
        if (!scan.read_to(range.to))
            throw Error(ErrorCode::not_found, scan.stop().reason);
        const RangeChanges changes = scan.take();
        if (what == "time") {
            const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
            const Bytes encoded = encode_changes(changes);
            std::printf(
                "%.3f s, %.0f MB/s, %llu records, %zu relations, %llu blocks, memory %llu bytes, "
                "encoded %zu bytes\n",
                took.count(), static_cast<double>(range.to - range.from) / 1e6 / took.count(),
                static_cast<unsigned long long>(records), changes.table.relations(),
                static_cast<unsigned long long>(changes.table.blocks()),
                static_cast<unsigned long long>(changes.table.memory_bytes()), encoded.size());
        }
        if (what == "table") {
            if (in_pieces(range, segment_size, directory) != changes.table)
                throw Error(ErrorCode::internal, "pieces do not make the whole");
            print_table(changes.table);
            answer_files(changes.table, {8192, static_cast<uint32_t>(std::stoul(argv[7]))});
        }
    } catch (const Error& error) {
        print_error(error, OutputFormat::text);
        return exit_status_of(error.code);
    }
    return 0;
}

}  // namespace ark

#endif
