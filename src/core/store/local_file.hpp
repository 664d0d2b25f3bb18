#pragma once

#include <string>

#include "core/store/local_tree.hpp"
#include "core/store/object_store.hpp"

namespace ark {

/// A file of a local repository on its way to its name: written without one (O_TMPFILE), or under a
/// name that no object can have, then put in place without ever replacing what is there.
class PendingFile {
 public:
    PendingFile(LocalTree& tree, std::string name, bool unnamed);
    ~PendingFile() { cancel(); }
    PendingFile(const PendingFile&) = delete;
    PendingFile& operator=(const PendingFile&) = delete;

    void write(ByteView bytes);
    /// fsync, link, fsync of the directory. The name is durable also when it `exists`: whoever
    /// linked it may have died before the fsync.
    PutResult publish();
    void cancel() noexcept;

 private:
    bool open_unnamed();
    void open_named();
    int link_to(const std::string& last);
    int link_unnamed(const std::string& last) const;
    int link_named(const std::string& last);

    LocalTree& tree_;
    const std::string name_;
    File directory_;
    File file_;
    std::string temporary_;  ///< empty for an unnamed file
    uint64_t written_ = 0;
    uint64_t flushing_ = 0;  ///< writeback was started up to here
};

/// Removes the named temporaries below a directory that were last written to before `before`: their
/// writers were killed. Returns how many. Directories that become empty go too.
uint64_t remove_abandoned_files(LocalTree& tree, const std::string& name, UnixMicros before);

}  // namespace ark
