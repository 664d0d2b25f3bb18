#include "core/recoverability/local_wal.hpp"

#include <sys/stat.h>

#include <filesystem>
#include <string_view>

#include "core/base/error.hpp"

namespace ark {

namespace {

constexpr std::string_view kReady = ".ready";

bool has_segment(const std::string& directory, const std::string& name, uint64_t size) {
    struct stat st {};
    return ::stat((directory + "/" + name).c_str(), &st) == 0 &&
           static_cast<uint64_t>(st.st_size) == size;
}

}  // namespace

LocalWal read_local_wal(const std::string& data_directory, TimelineId timeline, Lsn flushed,
                        uint64_t segment_size) {
    LocalWal out{timeline, flushed, {}};
    std::error_code error;
    std::filesystem::directory_iterator files(data_directory + "/pg_wal/archive_status", error);
    for (; !error && files != std::filesystem::directory_iterator(); files.increment(error)) {
        const std::string name = files->path().filename();
        if (!name.ends_with(kReady))
            continue;
        const auto parsed =
            parse_wal_file_name(std::string_view(name).substr(0, name.size() - kReady.size()));
        if (parsed && parsed->kind == WalFileKind::segment && parsed->timeline == timeline)
            out.waiting.insert(parsed->segment_number(segment_size));
    }
    if (error)
        throw system_error(error.value(), "could not read directory \"pg_wal/archive_status\"");
    return out;
}

void look_in_pg_wal(const std::string& data_directory, WalGap& gap) {
    const std::string directory = data_directory + "/pg_wal";
    uint64_t number = gap.first;
    while (number <= gap.last &&
           has_segment(directory, segment_name({gap.timeline, number}, gap.segment_size),
                       gap.segment_size)) {
        ++number;
    }
    gap.in_pg_wal = number > gap.last;
}

}  // namespace ark
