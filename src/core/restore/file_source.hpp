#pragma once

#include <cstdint>
#include <functional>

#include "core/base/error.hpp"
#include "core/repo/marker.hpp"
#include "core/restore/file_queue.hpp"
#include "core/restore/pack_reader.hpp"

namespace ark {

/// The content of a backup's files, checked against the index. One thread.
class FileSource {
 public:
    FileSource(Repository& repository, const BackupMarker& backup);

    /// Begins with a piece of work; nothing behind its end is fetched. Error: as PackReader::open.
    void open(const FileWork& work);

    /// Gives the content of one of its files to `use`, piece by piece in order: a frame each, so
    /// none for an empty file. Error: corrupt, naming file and pack, where frames, size or CRC-32C
    /// are not what the index says; what was given away by then is not to be used.
    void read(const IndexEntry& entry, const std::function<void(ByteView)>& use);

    /// The same of a part, whose CRC-32C nobody knows beforehand: it is returned.
    uint32_t read_part(const LargeFile::Part& part, const std::function<void(ByteView)>& use);

    /// The error for a file whose content is not what the index says.
    Error damaged(const IndexEntry& entry, const char* what) const;

    /// Bytes fetched from the store so far.
    uint64_t fetched() const { return reader_.fetched(); }

 private:
    ByteView frame(const IndexEntry& entry, const FrameRef& ref);
    uint32_t read_frames(const IndexEntry& entry, const std::function<void(ByteView)>& use);

    const BackupMarker& backup_;
    PackReader reader_;
};

}  // namespace ark
