#pragma once

#include <cstdint>
#include <functional>

#include "core/base/error.hpp"
#include "core/repo/chain.hpp"
#include "core/restore/file_queue.hpp"
#include "core/restore/pack_reader.hpp"

namespace ark {

/// The content of files of a backup, and of what those that it builds on have of them, checked
/// against their indexes. One thread.
class FileSource {
 public:
    /// The chain must live as long.
    FileSource(Repository& repository, const BackupChain& chain);

    /// Begins with a piece of work; nothing behind its end is fetched. Error: as PackReader::open.
    void open(const FileWork& work);
    /// The same with another end, in the pack of the work that was opened or any other.
    void open(size_t backup, uint32_t pack, uint64_t end);

    /// Gives the content of one of its files to `use`, piece by piece in order: a frame each, so
    /// none for an empty file. Error: corrupt, naming file and pack, where frames, size or CRC-32C
    /// are not what the index says; what was given away by then is not to be used.
    void read(const IndexEntry& entry, const std::function<void(ByteView)>& use);

    /// The same of a part, whose CRC-32C nobody knows beforehand: it is returned.
    uint32_t read_part(const LargeFile::Part& part, const std::function<void(ByteView)>& use);

    /// What a frame has of a piece's member, checked where the frame has a checksum of its own;
    /// valid until the next call. Error: corrupt, naming file, backup and pack.
    ByteView read_frame(const FilePiece& piece, const FrameShare& frame);

    /// The plaintext of a frame of the pack that is open; valid until the next call. Error:
    /// corrupt.
    ByteView plain_frame(const IndexEntry& entry, const FrameRef& ref);
    /// A member's share of that plaintext, checked as by read_frame.
    ByteView share_of(const IndexEntry& member, const FrameShare& share, ByteView plain) const;

    /// The checksums of the blocks of a member of the pack that is open, one for each. Error:
    /// corrupt, naming file, backup and pack.
    std::vector<uint64_t> block_checksums(const IndexEntry& member,
                                          const std::vector<FrameRef>& refs);

    /// The error for a file whose content is not what the index says.
    Error damaged(const IndexEntry& entry, const char* what) const;
    const BackupChain& chain() const { return chain_; }

    /// Bytes fetched from the store so far.
    uint64_t fetched() const { return reader_.fetched(); }

 private:
    void check_header(const IndexEntry& member, ByteView content) const;
    uint32_t read_frames(const IndexEntry& entry, const std::function<void(ByteView)>& use);

    const BackupChain& chain_;
    size_t backup_ = 0;  ///< in the chain: what is read at present
    PackReader reader_;
};

}  // namespace ark
