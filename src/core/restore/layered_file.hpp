#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/base/file.hpp"
#include "core/restore/file_plan.hpp"
#include "core/restore/member_checksums.hpp"

namespace ark {

/// What became of files that no index has a checksum of, in the order in which the tip's index
/// names them. Thread-safe.
class RestoredChecksums {
 public:
    /// A place for the next one.
    size_t add();
    void set(size_t number, uint32_t crc32c);
    uint32_t at(size_t number) const;

    /// backup_label, where it is not written as it is stored.
    void set_label(uint64_t bytes, uint32_t crc32c);
    std::optional<std::pair<uint64_t, uint32_t>> label() const;

 private:
    mutable std::mutex mutex_;
    std::vector<uint32_t> all_;
    std::optional<std::pair<uint64_t, uint32_t>> label_;
};

/// Bytes of a file that are right on disk.
struct WrittenBytes {
    uint64_t to = 0;
    uint64_t bytes = 0;
    uint32_t crc32c = 0;
};

/// Where a piece lies: one of the ground may write more of its frames than is wanted of them, which
/// newer pieces then write over.
enum class Layer { ground, above };

/// A file that is written in pieces from several packs by several lanes: those of its ground in any
/// order, then the others in any order. Thread-safe.
class LayeredFile {
 public:
    /// `entry`: of the tip, without frames. `ground`: of the `pieces`. `number`: in
    /// RestoredChecksums.
    LayeredFile(IndexEntry entry, std::vector<Extent> zeros, size_t pieces, size_t ground,
                size_t number);

    const IndexEntry& entry() const { return entry_; }
    size_t number() const { return number_; }
    uint64_t zero_bytes() const;

    /// The whole has to have this checksum. Call it before the file is shared.
    void expect(uint32_t crc32c) { expected_ = crc32c; }

    /// Opens the file for a piece: there is no other way to write it, so that nothing older comes
    /// over something newer. For one above the ground it waits until all of that is written, which
    /// lanes that have it do without waiting; nullopt where that was abandoned meanwhile. The first
    /// caller makes the file, as long as it is to be; with `may_be_there` one that is there already
    /// is kept, if it is a plain file of this user's with one name alone, and cut or extended.
    /// Error: as system_error; internal for the ground where all of it is written.
    std::optional<File> open(const std::string& path, bool may_be_there, Layer layer,
                             const std::function<bool()>& abandoned);
    /// Whether it was there before. Call it after open.
    bool was_there() const;

    /// A piece is written, and its bytes are in `piece`; `reused` of them were there. For the last
    /// one, the CRC-32C of the whole. Error: corrupt where it is not the one expected, internal
    /// where the pieces did not cover the file once.
    std::optional<uint32_t> written(Layer layer, const std::vector<WrittenBytes>& piece,
                                    uint64_t reused);
    /// After that: whether every byte was right already.
    bool all_reused() const;

 private:
    void make(const std::string& path, bool may_be_there);
    std::optional<File> take_over(const std::string& path) const;
    uint32_t checksum();

    const IndexEntry entry_;
    const std::vector<Extent> zeros_;
    const size_t number_;
    std::optional<uint32_t> expected_;
    mutable std::mutex mutex_;
    std::condition_variable ground_is_written_;
    size_t pieces_left_;
    size_t ground_left_;  ///< of these
    bool made_ = false;
    bool was_there_ = false;
    uint64_t reused_ = 0;
    std::vector<WrittenBytes> written_;
};

/// One lane's share of such a file: frames of one pack, next to each other or nearly so, and what
/// of them goes into the file.
struct FilePiece {
    std::shared_ptr<LayeredFile> file;
    size_t backup = 0;  ///< in the chain
    Layer layer = Layer::above;
    IndexEntry member;  ///< of that backup; without frames, its runs only with the first of them
    std::vector<FrameShare> frames;  ///< to be read, in order
    std::vector<Extent> extents;     ///< in those frames
    /// The frames are all that the member has, so its checksum can be checked; it has to be where
    /// frames have none of their own.
    bool whole = false;
    /// The file may have it already. Only where it is whole.
    bool compare = false;
    /// Set where the file may have some of it already, by its blocks. Frames have checksums of
    /// their own then.
    std::shared_ptr<MemberChecksums> checksums = nullptr;
    size_t checksum_memory = 0;  ///< of `checksums`, for one of the pieces that have them

    /// Bytes of content in the frames.
    uint64_t bytes() const;
    /// About what it takes in memory.
    size_t memory() const;
};

/// The pieces of a file of which the tip has the changed blocks alone; there is always one. With
/// `delta` those of which it pays to look at the file that is there have `compare`. Error: corrupt.
std::vector<FilePiece> cut_into_pieces(const ChainEntry& file, const BackupChain& chain, bool delta,
                                       size_t number);

/// What an incremental file begins with, by its entry in the index; empty of a whole one.
Bytes header_of(const IndexEntry& member, uint32_t block_bytes);
/// Where the header of an incremental file ends in its content; 0 of a whole one.
uint64_t header_end(const IndexEntry& member, uint32_t block_bytes);

/// True where all that a frame has of the content goes into the file (`extents`: those in it), but
/// for the header.
bool is_all_used(const FrameShare& frame, const std::vector<Extent>& extents, uint64_t header_end);

}  // namespace ark
