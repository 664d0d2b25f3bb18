#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/base/error.hpp"
#include "core/pipeline/digest.hpp"
#include "core/pipeline/zstd.hpp"
#include "core/repo/object.hpp"
#include "core/repo/vault.hpp"
#include "core/store/object_store.hpp"

namespace ark {

/// Reads an object from its beginning to its end, frame by frame; memory is a few MiB whatever its
/// size. The inverse of ObjectWriter; an encrypted object is opened by the store's vault. One
/// thread.
class ObjectReader {
 public:
    static constexpr size_t kFetchBytes = 4 << 20;

    /// The header is read and checked. `fetch_bytes`: asked for in one request; where there are
    /// many readers, less. Error: not_found, corrupt; invalid_key without its key.
    ObjectReader(ObjectStore& store, const std::string& cluster, ObjectKind kind,
                 const std::string& place, size_t fetch_bytes = kFetchBytes);

    /// The next frame's plaintext, valid until the next call; nullopt at the end. Error: corrupt,
    /// naming the object.
    std::optional<ByteView> next();

    /// After the end: checks the SHA-256 of the whole plaintext. Error: corrupt.
    void check_digest(const std::string& sha256);

    /// An Error (corrupt) about this object.
    Error damaged(const std::string& what) const;
    const std::string& name() const { return name_; }
    uint64_t fetched() const { return offset_; }

 private:
    bool fetch();
    ByteView rest() const { return {stored_.get() + consumed_, stored_bytes_ - consumed_}; }
    ByteView open_frame(ByteView frame);
    void check_header(const std::string& cluster, ObjectKind kind, const std::string& place);

    ObjectStore& store_;
    std::string name_;
    const size_t fetch_bytes_;
    uint64_t offset_ = 0;
    std::unique_ptr<std::byte[]> stored_;
    size_t stored_room_ = 0;
    size_t stored_bytes_ = 0;  ///< of what is there, from its beginning
    size_t consumed_ = 0;      ///< of these
    bool all_fetched_ = false;
    std::unique_ptr<std::byte[]> plain_;   ///< kFrameBytes
    std::unique_ptr<FrameCipher> cipher_;  ///< of an encrypted object
    uint64_t plain_bytes_ = 0;
    uint64_t frames_ = 0;
    bool ended_ = false;  ///< the last frame of an encrypted object was there
    FrameDecompressor decompressor_;
    Sha256 digest_;
};

/// The same for content that consists of lines.
class LineReader {
 public:
    /// An index names a file's frames, of 1 MiB each, in one line: this is one of many terabytes.
    static constexpr size_t kMaxLineBytes = 256 << 20;

    explicit LineReader(ObjectReader& object, size_t longest = kMaxLineBytes)
        : object_(object), longest_(longest) {}
    /// The next line without its newline, valid until the next call; nullopt at the end. Error:
    /// corrupt, also where the last line has no newline, or one is longer than lines are.
    std::optional<std::string_view> next();

 private:
    ObjectReader& object_;
    const size_t longest_;
    std::string text_;
    size_t used_ = 0;
};

}  // namespace ark
