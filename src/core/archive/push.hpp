#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <string>

#include "core/base/bytes.hpp"
#include "core/repo/object.hpp"
#include "core/repo/repository.hpp"
#include "core/store/object_store.hpp"

namespace ark {

/// Where WAL goes, and which cluster it must come from.
struct PushTarget {
    ObjectStore& store;
    std::string cluster;  ///< its directory in the repository
    uint64_t system_identifier = 0;
    uint64_t segment_size = 0;
    int compression_level = 3;
    Writer writer;  ///< its time is set anew for each object
    /// Where it is known, segments are compared with their pieces (PushBuffers::check_tail).
    Repository* repository = nullptr;
};

enum class PushResult {
    stored,   ///< the object was made now
    present,  ///< it was there with this content
    ignored,  ///< nothing to keep: a .backup file
};

/// What tells that a file is still the one that was read. WAL files keep their inode when they are
/// recycled under another name, and get another time when they are written to.
struct FileIdentity {
    dev_t device = 0;
    ino_t inode = 0;
    int64_t size = 0;
    int64_t modified_ns = 0;

    bool operator==(const FileIdentity&) const = default;
};
FileIdentity identity_of(const struct stat& st);
/// Error: as system_error.
FileIdentity identity_of_path(const std::string& path);

/// Memory for one file after another. One thread.
struct PushBuffers {
    explicit PushBuffers(int compression_level) : sealer(compression_level) {}
    Bytes content;
    ObjectSealer sealer;
    /// Whether the last file was there already, or there was none: after a crash the server offers
    /// everything since its last note again, and a look spares compressing it. Else it is a request
    /// for nothing.
    bool look_first = true;
    /// Whether a segment is compared with the pieces of it that the repository has: once at the
    /// begin and after each error, for another server that writes this timeline goes on doing so.
    bool check_tail = true;
    /// Called when `content` is not needed any more, before the store is waited for.
    std::function<void()> sealed = [] {};
};

/// Reads a file of pg_wal as a whole into `content`, and makes sure that `path` names the same,
/// unchanged file afterwards; and, where its .ready was in archive_status beside it (or
/// `needs_ready`), that it still is: without it the server may recycle the file at any moment.
/// Error: refused (retryable) when it isn't so, invalid_argument when it is longer than `limit`,
/// system_error's.
FileIdentity read_wal_file(const std::string& path, const std::string& name, uint64_t limit,
                           bool needs_ready, Bytes& content);

/// Makes one file that the server wants archived durable, if its name and content are what they
/// should be. When it returns, an object with this content is in the repository. May be repeated.
/// Errors: invalid_argument for a name that no server offers, corrupt for a segment that is not
/// complete or not of this cluster (pgdata/wal_segment.hpp) and for an object of its name that is
/// damaged, conflict for other content under its name or in its pieces, read_wal_file's, the
/// store's. Thread-safe.
PushResult push_wal_file(const PushTarget& target, const std::string& name, const std::string& path,
                         PushBuffers& buffers);

/// The same for `buffers.content`, which was read already.
PushResult push_content(const PushTarget& target, const std::string& name, PushBuffers& buffers);

}  // namespace ark
