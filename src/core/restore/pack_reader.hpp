#pragma once

#include <cstdint>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/pipeline/zstd.hpp"
#include "core/repo/index.hpp"
#include "core/repo/repository.hpp"
#include "core/repo/vault.hpp"

namespace ark {

/// Gives frames of one pack at a time, in the order of their place: what lies close together is
/// fetched in one request, what comes next while it is used, and the frame given last is kept. For
/// one thread; memory is about ten MiB whatever the pack.
class PackReader {
 public:
    PackReader(Repository& repository, std::string cluster, std::string backup_id);

    /// Goes on with another backup of the same cluster.
    void use_backup(const std::string& backup_id);

    /// Begins with pack `number`; its header is read and checked. Frames are asked for up to the
    /// byte `end` of the object at most: nothing beyond it is fetched. Error: corrupt, not_found,
    /// invalid_key.
    void open(uint32_t number, uint64_t end);

    /// The plaintext; valid until the next call. Error: corrupt, naming the pack.
    ByteView frame(const FrameRef& ref);
    /// Adds the checksums of blocks in such a frame. Error: corrupt, naming the pack.
    void read_checksums(const FrameRef& ref, std::vector<uint64_t>& checksums);

    /// Bytes fetched from the store so far.
    uint64_t fetched() const { return fetched_; }

 private:
    // Stored bytes that follow each other in the object.
    struct Window {
        Bytes bytes;
        size_t begin = 0;     ///< of what is there, in `bytes`
        size_t end = 0;       ///< behind it
        uint64_t offset = 0;  ///< of what is there, in the object

        bool holds(uint64_t at, uint64_t size) const {
            return at >= offset && at + size <= offset + (end - begin);
        }
        uint64_t object_end() const { return offset + (end - begin); }
    };

    ByteView stored_frame(const FrameRef& ref);
    ByteView opened_frame(const FrameRef& ref);
    void fetch(uint64_t offset, uint64_t at_least);
    size_t read_into_next(uint64_t from, uint64_t size);
    void fetch_ahead();
    void forget();
    const ParsedHeader& header_of(uint32_t number, const std::string& name);

    Repository& repository_;
    const std::string cluster_;
    std::string backup_id_;
    std::string name_;
    uint32_t number_ = 0;
    uint64_t end_ = 0;
    Window window_;
    Window next_;
    std::unique_ptr<FrameCipher> cipher_;  ///< of an encrypted pack
    /// Headers that were read, by the packs' names: a lane comes back to the packs of a chain.
    std::map<std::string, ParsedHeader> known_;
    Bytes plain_;
    size_t plain_size_ = 0;
    uint64_t plain_offset_ = 0;  ///< of the frame in plain_; 0 (where the header is) for none
    uint64_t fetched_ = 0;
    FrameDecompressor decompressor_;
    uint64_t ahead_from_ = 0;
    std::future<size_t> ahead_;  ///< writes into next_, and so ends before that
};

}  // namespace ark
