#include "core/backup/lane.hpp"

#include <fcntl.h>

#include "core/backup/changed_blocks.hpp"
#include "core/base/fault.hpp"

namespace ark {

namespace {

UnixMicros modified_of(const struct stat& st) {
    return static_cast<int64_t>(st.st_mtim.tv_sec) * 1000000 + st.st_mtim.tv_nsec / 1000;
}

}  // namespace

// A file that is being copied.
struct CopyLane::Source {
    const File& file;
    const std::optional<RelationPath> relation;
    std::optional<PageVerifier> verifier;
    IndexEntry entry;

    void verify(MutableByteView data, uint64_t offset) {
        if (verifier)
            verifier->verify(data, offset);
    }
};

CopyLane::CopyLane(CopyState& state, PackSet& packs)
    : state_(state),
      member_(packs.crew()),
      packs_(packs, rest_records_),
      audit_(state.audit_fraction, state.plan != nullptr ? state.plan->parent_start() : 0,
             state.start_lsn, {state.control.block_size, state.control.relation_segment_blocks}) {}

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

    Source source{*file, parse_relation_path(path), std::nullopt, {}};
    if (state_.verify_pages && source.relation) {
        source.verifier.emplace(*file, path, *source.relation,
                                state_.control.relation_segment_blocks, state_.start_lsn,
                                findings_);
    }
    source.entry.path = path;
    source.entry.mode = st.st_mode & 07777;
    source.entry.modified = modified_of(st);
    source.entry.size = static_cast<uint64_t>(st.st_size);
    const FileChanges changes = changes_of(index, source);
    if (changes.whole) {
        copy_whole(source, records);
    } else {
        copy_changes(source, changes, records);
    }
    ++state_.files_done;
    ++copied_files_;
}

FileChanges CopyLane::changes_of(size_t index, const Source& source) {
    FileChanges changes;
    changes.whole = WholeReason::not_in_parent;
    if (state_.plan == nullptr)
        return changes;
    changes = state_.plan->of(index, source.entry.path, source.relation, source.entry.size);
    if (!changes.whole && !audit_.passes(source.file, source.entry.path, *source.relation, changes,
                                         [this] { return state_.stop.load(); }))
        changes.whole = WholeReason::audit;
    count(changes);
    return changes;
}

void CopyLane::count(const FileChanges& changes) {
    if (changes.whole) {
        ++summary_.whole_files;
    } else if (changes.runs.empty()) {
        ++summary_.unchanged_files;
    } else {
        ++summary_.changed_files;
        summary_.changed_blocks += changes.blocks;
    }
}

void CopyLane::take(MutableByteView data, uint64_t bytes) {
    // A file that has shrunk since fstat: WAL replay knows its new length.
    std::memset(data.data() + bytes, 0, data.size() - bytes);
    state_.bytes_done += data.size();
    PG_ARK_FAULT_POINT("backup_copy_piece");
}

void CopyLane::copy_whole(Source& source, RecordRun& records) {
    packs_.add_file(
        std::move(source.entry),
        [&](MutableByteView buffer, uint64_t offset) {
            if (state_.stop)
                throw Error(ErrorCode::cancelled, "the backup was cancelled");
            const size_t n = source.file.pread_full(buffer, offset);
            source.verify(buffer.first(n), offset);
            take(buffer, n);
        },
        records);
}

void CopyLane::copy_changes(Source& source, const FileChanges& changes, RecordRun& records) {
    ChangedBlocks blocks(
        source.file, changes, state_.control.block_size,
        [&](MutableByteView data, uint64_t offset) { source.verify(data, offset); });
    source.entry.size = blocks.size();
    source.entry.incremental = {uint64_t{changes.length} * state_.control.block_size, changes.runs};
    packs_.add_file(
        std::move(source.entry),
        [&](MutableByteView buffer, uint64_t offset) {
            if (state_.stop)
                throw Error(ErrorCode::cancelled, "the backup was cancelled");
            blocks.read(buffer, offset);
            take(buffer, buffer.size());
        },
        records);
}

}  // namespace ark
