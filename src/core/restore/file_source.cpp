#include "core/restore/file_source.hpp"

#include <algorithm>

#include "core/base/crc32c.hpp"
#include "core/base/error.hpp"

namespace ark {

namespace {

constexpr const char* kOtherBackupHint = "Restore another backup (\"pg_ark list\").";

}  // namespace

FileSource::FileSource(Repository& repository, const BackupMarker& backup)
    : backup_(backup), reader_(repository, backup.cluster, backup.backup_id) {}

void FileSource::open(const FileWork& work) {
    if (work.end > 0)  // else all of them are empty
        reader_.open(work.pack, work.end);
}

void FileSource::read(const IndexEntry& entry, const std::function<void(ByteView)>& use) {
    if (read_frames(entry, use) != entry.crc32c)
        throw damaged(entry, "checksum");
}

uint32_t FileSource::read_part(const LargeFile::Part& part,
                               const std::function<void(ByteView)>& use) {
    reader_.open(part.entry.pack, part.end);
    return read_frames(part.entry, use);
}

uint32_t FileSource::read_frames(const IndexEntry& entry,
                                 const std::function<void(ByteView)>& use) {
    uint64_t done = 0;
    uint32_t crc = 0;
    size_t skip = entry.skip;
    for (const FrameRef& ref : entry.frames) {
        const ByteView plain = frame(entry, ref);
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

ByteView FileSource::frame(const IndexEntry& entry, const FrameRef& ref) {
    try {
        return reader_.frame(ref);
    } catch (Error& error) {
        if (error.code == ErrorCode::corrupt) {
            error.detail += (error.detail.empty() ? "" : " ") + std::string("File \"") +
                            entry.path + "\" of the backup is in there.";
            if (error.hint.empty())
                error.hint = kOtherBackupHint;
        }
        throw;
    }
}

Error FileSource::damaged(const IndexEntry& entry, const char* what) const {
    return {ErrorCode::corrupt,
            "file \"" + entry.path + "\" of backup " + backup_.backup_id + " is damaged",
            std::string("Its ") + what + " in pack " + std::to_string(entry.pack) +
                " is not what the index says.",
            kOtherBackupHint};
}

}  // namespace ark
