#include "core/stream/archived.hpp"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "core/base/error.hpp"

namespace ark {

namespace {

bool exists(const std::string& path) {
    return access(path.c_str(), F_OK) == 0;
}

}  // namespace

Archived::Archived(Repository& repository, PushTarget target, std::string data_directory,
                   TimelineId timeline)
    : repository_(repository),
      target_(std::move(target)),
      data_directory_(std::move(data_directory)),
      timeline_(timeline) {}

std::string Archived::wal_path(const std::string& file) const {
    return data_directory_ + "/pg_wal/" + file;
}

Archived::Waiting Archived::waiting(Lsn before) const {
    const std::string path = wal_path("archive_status");
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(path.c_str()), closedir);
    if (!directory)
        throw system_error(errno, "could not open directory \"" + path + "\"");
    const uint64_t end = before / target_.segment_size;
    Waiting waiting{0, end};
    while (const dirent* entry = readdir(directory.get())) {
        const std::string_view file = entry->d_name;
        if (file.size() != 24 + 6 || !file.ends_with(".ready"))
            continue;
        const auto name = parse_wal_file_name(file.substr(0, 24));
        const uint64_t number = name ? name->segment_number(target_.segment_size) : end;
        if (number >= end)
            continue;
        ++waiting.count;
        waiting.first = std::min(waiting.first, number);
    }
    return waiting;
}

// As XLogArchiveIsBusy (src/backend/access/transam/xlogarchive.c) judges it: .done says that our
// archiver was told yes; with neither mark the segment counts as archived only when it is gone.
bool Archived::archiver_is_done(const std::string& segment) const {
    const std::string status = wal_path("archive_status/" + segment);
    if (exists(status + ".done"))
        return true;
    if (exists(status + ".ready"))
        return false;
    // Between the two looks the one may have become the other.
    return exists(status + ".done") || !exists(wal_path(segment));
}

bool Archived::is_stored(const std::string& segment) {
    return repository_.store().head(target_.cluster + "/" + place::segment(segment)).has_value();
}

bool Archived::is_durable(uint64_t number) {
    const std::string segment = segment_name({timeline_, number}, target_.segment_size);
    if (!archiver_is_done(segment))
        return false;
    if (is_stored(segment))
        return true;
    // The archiver stored it elsewhere: the repository is another one since.
    if (push(segment))
        return true;
    throw Error(ErrorCode::unavailable,
                "WAL segment \"" + segment +
                    "\" was archived, but neither the repository nor pg_wal has it");
}

bool Archived::push(const std::string& segment) {
    const std::string path = wal_path(segment);
    if (!exists(path))
        return false;
    PushBuffers buffers(target_.compression_level);
    try {
        push_wal_file(target_, segment, path, buffers);
        return true;
    } catch (const Error& error) {
        // It was never written to its end, or taken away by the server meanwhile.
        const bool is_no_segment = error.code == ErrorCode::corrupt ||
                                   error.code == ErrorCode::refused ||
                                   error.code == ErrorCode::not_found;
        if (!is_no_segment)
            throw;
        return false;
    }
}

}  // namespace ark
