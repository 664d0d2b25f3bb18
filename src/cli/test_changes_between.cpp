// Test builds only: what a backup would be told has changed, for test/tap/061_change_tracking.pl.
#if defined(PG_ARK_TEST_FAULTS)

#include <cstdio>
#include <string>

#include "cli/command.hpp"
#include "core/archive/wal_source.hpp"
#include "core/base/file.hpp"
#include "core/changes/changes_between.hpp"

namespace ark {

namespace {

void print_table(const ChangeTable& table) {
    for (const DatabaseId& id : table.databases())
        std::printf("database %u/%u\n", id.tablespace, id.database);
    for (const auto& [id, changes] : table.sorted()) {
        const std::string name = std::to_string(id.tablespace) + "/" + std::to_string(id.database) +
                                 "/" + std::to_string(id.filenode);
        if (changes->limit)
            std::printf("limit %s %u\n", name.c_str(), *changes->limit);
        changes->blocks.for_each_run(0, UINT32_MAX, [&](uint64_t first, uint64_t length) {
            for (uint64_t block = first; block < first + length; ++block)
                std::printf("block %s %llu\n", name.c_str(),
                            static_cast<unsigned long long>(block));
        });
    }
}

}  // namespace

// pg_ark test-changes-between URL CLUSTER DATA_DIRECTORY SYSTEM_ID SEGMENT_SIZE TIMELINE
//     PARENT_TIMELINE PARENT_START PARENT_STOP START MOST_ARCHIVED tables|scan
// scan: as if there were no tables.
int run_test_changes_between(int argc, char** argv) {
    if (argc != 14)
        return kExitUsage;
    try {
        const auto repository = Repository::open(argv[2], OpenMode::write);
        const std::string cluster = argv[3];
        const std::string data_directory = argv[4];
        const uint64_t segment_size = std::stoull(argv[6]);
        const auto timeline = static_cast<TimelineId>(std::stoul(argv[7]));
        const auto history = read_file_if_exists(
            data_directory + "/pg_wal/" + history_name(timeline), size_t{1} << 20);
        const TimelineHistory way = history ? TimelineHistory::parse(timeline, as_text(*history))
                                            : TimelineHistory(timeline);
        const BackupRange parent{static_cast<TimelineId>(std::stoul(argv[8])),
                                 parse_lsn(argv[9]).value(), parse_lsn(argv[10]).value()};
        RepositoryWal archived(*repository, cluster, segment_size, way);
        const bool scans = std::string(argv[13]) == "scan";
        const auto empty = make_memory_store();
        const ChangeSources sources{scans ? *empty : repository->store(),
                                    cluster,
                                    data_directory,
                                    segment_size,
                                    [&](uint64_t number) { return archived.read_segment(number); },
                                    std::stoull(argv[12]) * segment_size,
                                    std::nullopt};
        ChangeCost cost;
        const ChangeAnswer answer = changes_between(
            sources, {way, std::stoull(argv[5]), parent, parse_lsn(argv[11]).value()}, &cost);
        std::printf("cost tables %llu live %llu archived %llu\n",
                    static_cast<unsigned long long>(cost.tables),
                    static_cast<unsigned long long>(cost.live_segments),
                    static_cast<unsigned long long>(cost.archived_segments));
        if (answer.table)
            print_table(*answer.table);
        else
            std::printf("why_not %s\n", answer.why_not.c_str());
    } catch (const Error& error) {
        print_error(error, OutputFormat::text);
        return exit_status_of(error.code);
    }
    return 0;
}

}  // namespace ark

#endif
