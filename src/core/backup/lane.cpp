#include "core/backup/lane.hpp"

#include <fcntl.h>

#include "core/base/fault.hpp"

namespace ark {

namespace {

UnixMicros modified_of(const struct stat& st) {
    return static_cast<int64_t>(st.st_mtim.tv_sec) * 1000000 + st.st_mtim.tv_nsec / 1000;
}

}  // namespace

CopyLane::CopyLane(CopyState& state, PackSet& packs)
    : state_(state), member_(packs.crew()), packs_(packs, rest_records_) {}

void CopyLane::run() {
    size_t i = 0;
    while ((i = state_.next_large++) < state_.large.size())
        copy(state_.large[i], large_records_);
    while ((i = state_.next_rest++) < state_.rest.size())
        copy(state_.rest[i], rest_records_);
    packs_.finish();
    large_records_.seal();
    rest_records_.seal();
    member_.help();
}

void CopyLane::copy(size_t index, RecordRun& records) {
    const std::string path = state_.files.path(index);
    // O_NONBLOCK: a FIFO that has taken the name since must not hang the lane.
    const auto file = File::open_if_exists(state_.data_directory + "/" + path,
                                           O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!file)
        return;  // dropped since it was listed: WAL replay drops it too
    const struct stat st = file->stat();
    if (!S_ISREG(st.st_mode))
        return;

    std::optional<PageVerifier> verifier;
    const auto relation = parse_relation_path(path);
    if (state_.verify_pages && relation) {
        verifier.emplace(*file, path, *relation, state_.control.relation_segment_blocks,
                         state_.start_lsn, findings_);
    }
    IndexEntry entry;
    entry.path = path;
    entry.mode = st.st_mode & 07777;
    entry.modified = modified_of(st);
    entry.size = static_cast<uint64_t>(st.st_size);
    packs_.add_file(
        std::move(entry),
        [&](MutableByteView buffer, uint64_t offset) {
            if (state_.stop)
                throw Error(ErrorCode::cancelled, "the backup was cancelled");
            const size_t n = file->pread_full(buffer, offset);
            if (verifier)
                verifier->verify(buffer.first(n), offset);
            // A file that has shrunk since fstat: WAL replay knows its new length.
            std::memset(buffer.data() + n, 0, buffer.size() - n);
            state_.bytes_done += buffer.size();
            PG_ARK_FAULT_POINT("backup_copy_piece");
        },
        records);
    ++state_.files_done;
    ++copied_files_;
}

}  // namespace ark
