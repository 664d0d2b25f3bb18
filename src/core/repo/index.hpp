#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/clock.hpp"
#include "core/pgdata/incremental_file.hpp"
#include "core/pipeline/content_hash.hpp"
#include "core/pipeline/zstd.hpp"
#include "core/repo/object_reader.hpp"
#include "core/repo/repository.hpp"

namespace ark {

/// A zstd frame of a pack: a range of the stored object.
struct FrameRef {
    uint64_t offset = 0;  ///< in the object, header included
    uint32_t stored = 0;  ///< bytes in the object

    bool operator==(const FrameRef&) const = default;
};

enum class EntryType { file, directory };

/// Of a file of which an incremental backup holds the changed blocks alone. The others are those of
/// the parent's file, at the same places.
struct IncrementalContent {
    uint64_t file_size = 0;      ///< of the whole file: a multiple of the block size
    std::vector<BlockRun> runs;  ///< ascending, not adjacent; none where nothing changed

    bool operator==(const IncrementalContent&) const = default;
};

/// One line of the index: where a file's bytes are. Where `incremental` is there, "the file" is
/// what is stored: an incremental file of PostgreSQL 17's form (pgdata/incremental_file.hpp), the
/// blocks of the runs in their order; size and checksums are of that.
///
/// The file's content begins `skip` bytes into the plaintext of the first frame, and runs on
/// through the frames in order: each frame's plaintext is at most 1 MiB and all of it, up to the
/// file's end, belongs to the file (a tar header or another file may follow in the last frame).
struct IndexEntry {
    std::string path;  ///< relative to the data directory, any bytes but NUL
    EntryType type = EntryType::file;
    uint32_t mode = 0600;
    UnixMicros modified = 0;
    uint64_t size = 0;
    uint32_t crc32c = 0;
    Hash128 xxh128;  ///< of the content; not known for an empty file
    uint32_t pack = 0;
    uint32_t skip = 0;
    std::vector<FrameRef> frames;  ///< empty for directories and empty files
    /// Of what each frame has of the content; known, or empty, where there are several frames.
    std::vector<uint32_t> frame_crcs{};
    std::optional<IncrementalContent> incremental{};
    /// Where in the pack the checksums of its blocks are (repo/block_checksums.hpp); may be empty.
    std::vector<FrameRef> block_checksums{};

    bool operator==(const IndexEntry&) const = default;
};

/// The name of the member in the pack, and in the manifest.
std::string stored_path(const IndexEntry& entry);
/// What the file has in the data directory, in bytes.
uint64_t file_size(const IndexEntry& entry);

std::string to_json_line(const IndexEntry& entry);  ///< with the newline
IndexEntry parse_index_line(std::string_view line);

/// Reads a backup's index, one entry at a time, in bytewise path order; memory stays constant.
/// Error: corrupt (also when the whole does not match the marker's digest, told at the end).
class IndexReader {
 public:
    IndexReader(Repository& repository, const std::string& cluster, const std::string& backup_id,
                const std::string& expected_sha256, size_t fetch_bytes = ObjectReader::kFetchBytes);
    ~IndexReader();
    /// nullopt after the last entry.
    std::optional<IndexEntry> next();
    /// The next one whose path is not before this one; of those before it no more than the path is
    /// read. What else they say counts in the digest alone.
    std::optional<IndexEntry> next_from(std::string_view path);

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace ark
