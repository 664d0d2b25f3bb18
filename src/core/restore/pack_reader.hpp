#pragma once

#include <cstdint>
#include <string>

#include "core/pipeline/zstd.hpp"
#include "core/repo/index.hpp"
#include "core/repo/repository.hpp"

namespace ark {

/// Gives frames of one pack at a time, in the order of their place: what lies close together is
/// fetched in one request, and the frame given last is kept. One thread; memory is a few MiB
/// whatever the pack.
class PackReader {
 public:
    PackReader(Repository& repository, std::string cluster, std::string backup_id);

    /// Begins with pack `number`; its header is read and checked. Frames are asked for up to the
    /// byte `end` of the object at most: nothing beyond it is fetched. Error: corrupt, not_found.
    void open(uint32_t number, uint64_t end);

    /// The plaintext; valid until the next call. Error: corrupt, naming the pack.
    ByteView frame(const FrameRef& ref);

    /// Bytes fetched from the store so far.
    uint64_t fetched() const { return fetched_; }

 private:
    ByteView stored_frame(const FrameRef& ref);
    void fetch(uint64_t offset, uint64_t at_least);

    Repository& repository_;
    const std::string cluster_;
    const std::string backup_id_;
    std::string name_;
    uint32_t number_ = 0;
    uint64_t end_ = 0;
    Bytes window_;  ///< stored bytes from window_offset_ on
    size_t window_size_ = 0;
    uint64_t window_offset_ = 0;
    Bytes plain_;
    size_t plain_size_ = 0;
    uint64_t plain_offset_ = 0;  ///< of the frame in plain_; 0 (where the header is) for none
    uint64_t fetched_ = 0;
    FrameDecompressor decompressor_;
};

}  // namespace ark
