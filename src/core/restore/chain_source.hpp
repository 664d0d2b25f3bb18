#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <tuple>
#include <vector>

#include "core/repo/chain.hpp"
#include "core/restore/file_plan.hpp"
#include "core/restore/file_source.hpp"

namespace ark {

/// The content of the tip's files from beginning to end, put together from all backups of the
/// chain: for whoever needs a file as it was (a new full backup made from a chain, say). A restore,
/// which can write a file's blocks in any order, reads each frame once; here some are read again
/// where many files share them. Memory is some ten MiB, and one or two for each backup of the
/// chain. One thread.
class ChainSource {
 public:
    /// The chain must live as long.
    ChainSource(Repository& repository, const BackupChain& chain);

    /// Gives the content of a file of the chain's ChainReader to `use`, in order, in pieces; none
    /// for an empty one. Error: corrupt, naming file, backup and pack; what was given away by then
    /// is not to be used.
    void read(const ChainEntry& file, const std::function<void(ByteView)>& use);

    /// Bytes fetched from the store so far.
    uint64_t fetched() const { return source_.fetched(); }

 private:
    struct Part;
    using FrameKey = std::tuple<size_t, uint32_t, uint64_t>;

    void read_whole(const IndexEntry& entry, const std::function<void(ByteView)>& use);
    void read_layers(const ChainEntry& file, const std::function<void(ByteView)>& use);
    void fill(Part& part, uint64_t begin, uint64_t end);
    ByteView share(Part& part, size_t number, uint64_t fetch_end);
    ByteView plain(const Part& part, const FrameRef& ref, uint64_t fetch_end);
    void check_as_a_whole(Part& part);

    const BackupChain& chain_;
    FileSource source_;
    Bytes buffer_;  ///< a stretch of the file
    /// Frames that may be asked for again, the one used last in front.
    std::list<std::pair<FrameKey, Bytes>> recent_;
    std::map<FrameKey, std::list<std::pair<FrameKey, Bytes>>::iterator> cached_;
};

}  // namespace ark
