#include "core/restore/file_source.hpp"

#include <algorithm>

#include "core/base/crc32c.hpp"
#include "core/base/error.hpp"
#include "core/repo/block_checksums.hpp"
#include "core/restore/file_plan.hpp"

namespace ark {

namespace {

constexpr const char* kOtherBackupHint = "Restore another backup (\"pg_ark list\").";

// Of what is wrong with a pack.
void name_file(const IndexEntry& entry, Error& error) {
    if (error.code != ErrorCode::corrupt)
        return;
    error.detail += (error.detail.empty() ? "" : " ") + std::string("File \"") + entry.path +
                    "\" of the backup is in there.";
    if (error.hint.empty())
        error.hint = kOtherBackupHint;
}

}  // namespace

FileSource::FileSource(Repository& repository, const BackupChain& chain)
    : chain_(chain), reader_(repository, chain.tip().cluster, chain.tip().backup_id) {}

void FileSource::open(const FileWork& work) {
    open(work.backup, work.pack, work.end);
}

void FileSource::open(size_t backup, uint32_t pack, uint64_t end) {
    backup_ = backup;
    reader_.use_backup(chain_.backups.at(backup_).backup_id);
    if (end > 0)  // else all of them are empty
        reader_.open(pack, end);
}

void FileSource::read(const IndexEntry& entry, const std::function<void(ByteView)>& use) {
    if (read_frames(entry, use) != entry.crc32c)
        throw damaged(entry, "checksum");
}

uint32_t FileSource::read_part(const LargeFile::Part& part,
                               const std::function<void(ByteView)>& use) {
    open(0, part.entry.pack, part.end);
    return read_frames(part.entry, use);
}

uint32_t FileSource::read_frames(const IndexEntry& entry,
                                 const std::function<void(ByteView)>& use) {
    uint64_t done = 0;
    uint32_t crc = 0;
    size_t skip = entry.skip;
    for (const FrameRef& ref : entry.frames) {
        const ByteView plain = plain_frame(entry, ref);
        if (skip >= plain.size() || done == entry.size)
            throw damaged(entry, "frames");
        const ByteView piece =
            plain.subspan(skip, std::min<uint64_t>(plain.size() - skip, entry.size - done));
        crc = crc32c(crc, piece);
        use(piece);
        done += piece.size();
        skip = 0;
    }
    if (done != entry.size)
        throw damaged(entry, "size");
    return crc;
}

ByteView FileSource::plain_frame(const IndexEntry& entry, const FrameRef& ref) {
    try {
        return reader_.frame(ref);
    } catch (Error& error) {
        name_file(entry, error);
        throw;
    }
}

std::vector<uint64_t> FileSource::block_checksums(const IndexEntry& member,
                                                  const std::vector<FrameRef>& refs) {
    const uint32_t block_bytes = chain_.tip().block_size;
    std::vector<uint64_t> checksums;
    try {
        for (const FrameRef& ref : refs)
            reader_.read_checksums(ref, checksums);
    } catch (Error& error) {
        name_file(member, error);
        throw;
    }
    if (!is_checksummed_size(block_bytes) ||
        checksums.size() != block_checksum_count(member.size, block_bytes))
        throw damaged(member, "number of checksums of blocks");
    return checksums;
}

ByteView FileSource::read_frame(const FilePiece& piece, const FrameShare& frame) {
    return share_of(piece.member, frame, plain_frame(piece.member, frame.ref));
}

ByteView FileSource::share_of(const IndexEntry& member, const FrameShare& share,
                              ByteView plain) const {
    if (plain.size() < share.skip || plain.size() - share.skip < share.bytes)
        throw damaged(member, "size");
    const ByteView content = plain.subspan(share.skip, share.bytes);
    if (share.crc32c && crc32c(0, content) != *share.crc32c)
        throw damaged(member, "checksum");
    if (share.begin == 0 && member.incremental)
        check_header(member, content);
    return content;
}

// The index says which blocks these are, and so does the file itself.
void FileSource::check_header(const IndexEntry& member, ByteView content) const {
    const Bytes header = header_of(member, chain_.tip().block_size);
    const size_t n = std::min(header.size(), content.size());
    if (!std::ranges::equal(content.first(n), ByteView(header).first(n)))
        throw damaged(member, "list of blocks");
}

Error FileSource::damaged(const IndexEntry& entry, const char* what) const {
    return damaged_member(entry, chain_.backups[backup_].backup_id, what);
}

}  // namespace ark
