#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/file.hpp"
#include "core/restore/file_source.hpp"
#include "core/restore/layered_file.hpp"

namespace ark {

/// Writes pieces of files that several backups of a chain have. One thread.
class PieceWriter {
 public:
    /// `ready` is called before something is read of the pack, with the end of what will be.
    PieceWriter(FileSource& source, std::function<void(uint64_t end)> ready)
        : source_(source), ready_(std::move(ready)) {}

    struct Result {
        std::vector<WrittenBytes> written;
        uint64_t bytes = 0;   ///< of the file, that are right now
        uint64_t reused = 0;  ///< of these: were right already
        /// What is wrong with the member's checksums of blocks: told to one of its pieces.
        std::optional<Error> bad_checksums{};
    };

    /// Makes the piece's bytes of the file right, in whatever state it is; one of the ground also
    /// writes what lies between them in its frames, where that is little. nullopt where it was
    /// abandoned. Error: corrupt, naming file, backup and pack; what is not right has not been
    /// written, but where only the checksum of the whole piece is known.
    std::optional<Result> write(const FilePiece& piece, File& file,
                                const std::function<bool()>& abandoned);

 private:
    bool fetch(const FilePiece& piece, File& file, const std::function<bool()>& abandoned);
    bool compare(const FilePiece& piece, File& file, const std::function<bool()>& abandoned);
    bool compare_blocks(const FilePiece& piece, File& file, const std::function<bool()>& abandoned);
    bool fetch_checksums(const FilePiece& piece);
    void put(ByteView content, const FrameShare& frame, const std::vector<Extent>& extents,
             Layer layer, File& file);
    bool gather(ByteView header, const FrameShare& frame, const std::vector<Extent>& extents,
                const File& file, const MemberChecksums* checksums);

    FileSource& source_;
    const std::function<void(uint64_t end)> ready_;
    Bytes buffer_;
    Result result_;
};

}  // namespace ark
