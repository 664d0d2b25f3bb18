#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/clock.hpp"

namespace ark {

/// What a store tells about an object without reading it.
struct ObjectInfo {
    std::string name;
    uint64_t size = 0;
    UnixMicros modified =
        0;  ///< the store's clock: compare it with another object's, not with ours
};

enum class PutResult {
    created,  ///< the object is there now, durable, with these bytes
    exists,   ///< an object of this name was there before: nothing was written
};

/// What went over the wire since the store was opened: the user's bill. All zero where there is
/// none.
struct StoreTraffic {
    uint64_t reads = 0;    ///< GET and HEAD
    uint64_t writes = 0;   ///< PUT and POST
    uint64_t deletes = 0;  ///< free of charge with most vendors
    uint64_t retries = 0;  ///< of these, tries after a failure
    uint64_t bytes_sent = 0;
    uint64_t bytes_received = 0;
};

/// An object that is being written. Owned by one thread at a time. `finish()` commits; the
/// destructor, and `cancel()`, remove what was sent. Nobody can see the object before finish.
class Upload {
 public:
    Upload() = default;
    Upload(const Upload&) = delete;
    Upload& operator=(const Upload&) = delete;
    virtual ~Upload() = default;

    /// Appends. The bytes are copied or written before it returns. Error: disk_full, unavailable…:
    /// the upload is dead then, and only cancel or the destructor may follow.
    virtual void write(ByteView bytes) = 0;
    /// Makes the object visible and durable, if the name is still free. Called once.
    virtual PutResult finish() = 0;
    /// Best effort, never throws. Idempotent; without effect after finish.
    virtual void cancel() noexcept = 0;
};

/// A place for objects: flat names with slashes, written once, read by range.
///
/// Names are relative ("7301…/wal/00000001/…"), of [A-Za-z0-9._-] parts, never empty, "." or "..".
/// Thread rule: every function may be called from several threads at once.
/// May be repeated: all of them; a put whose answer was lost says `exists` at the second try, and
/// the caller then compares content (repo/object.hpp). Errors: unavailable and timeout (retryable),
/// permission_denied, disk_full, io_error, not_found where it says so.
class ObjectStore {
 public:
    ObjectStore() = default;
    ObjectStore(const ObjectStore&) = delete;
    ObjectStore& operator=(const ObjectStore&) = delete;
    virtual ~ObjectStore() = default;

    /// Creates the object in one request if the name is free: atomically, also among racing
    /// writers. Durable when it returns `created`. Never overwrites.
    virtual PutResult put_if_absent(const std::string& name, ByteView content) = 0;
    /// False where the user has said that this store cannot (create_if_absent=off): then two racing
    /// writers may both be told `created`.
    virtual bool creates_atomically() const { return true; }

    /// Begins an object whose size is not known yet.
    virtual std::unique_ptr<Upload> start_upload(const std::string& name) = 0;

    /// The whole object, nullopt when the store says that it is not there. Error: corrupt when it
    /// is longer than `limit`.
    virtual std::optional<Bytes> get(const std::string& name, uint64_t limit) = 0;

    /// Bytes [offset, offset + buffer.size()) of the object; returns how many there were (fewer
    /// only at its end). Error: not_found.
    virtual size_t get_range(const std::string& name, uint64_t offset, MutableByteView buffer) = 0;

    /// nullopt when the store says that it is not there.
    virtual std::optional<ObjectInfo> head(const std::string& name) = 0;

    /// Calls `visit` for each object below `prefix` (a whole name part: "a/b" lists "a/b/c", not
    /// "a/bc"), in bytewise order of names. Stops when visit returns false. A missing prefix lists
    /// nothing. Never the ground for a decision that loses data: a listing may lag.
    virtual void list(const std::string& prefix,
                      const std::function<bool(const ObjectInfo&)>& visit) = 0;

    /// The next name parts below `prefix`, each once, in bytewise order: "directories" and objects.
    virtual std::vector<std::string> list_parts(const std::string& prefix) = 0;

    /// The name of an object that is there survives a crash of the machine when this returns, also
    /// where another writer put it there and was killed before he could see to it. Nothing to do
    /// where a store shows objects only when they are durable.
    virtual void make_durable(const std::string& /*name*/) {}

    /// Removes the object; true when it was there.
    virtual bool remove(const std::string& name) = 0;

    /// Removes what writers that were killed left below `prefix` and nobody sees (files of uploads
    /// that never ended), if it was last written to before `before`, by the store's clock. Returns
    /// how many.
    virtual uint64_t remove_temporaries(const std::string& /*prefix*/, UnixMicros /*before*/) {
        return 0;
    }

    /// Bytes that can still be written, nullopt where the store has no such limit.
    virtual std::optional<uint64_t> free_bytes() = 0;

    /// The moment whose state it shows, by the store's clock (StoreOptions::as_of). Such a store
    /// refuses to write and to remove.
    virtual std::optional<UnixMicros> as_of() const { return std::nullopt; }

    virtual StoreTraffic traffic() const { return {}; }
    /// Seconds by which the store's clock is ahead of ours, by its last answer; nullopt where it
    /// has none of its own.
    virtual std::optional<int64_t> clock_skew() const { return std::nullopt; }

    /// The URL, without credentials, for messages.
    virtual std::string url() const = 0;
};

struct StoreOptions {
    /// Seconds for which an operation is tried again while the store cannot be reached or answers
    /// with a passing fault. Nothing is waited for where the store is a directory.
    double retry_timeout = 300;
    /// Read the place as it was at this moment, by the store's own clock: from the versions of a
    /// bucket that keeps them. Nothing can be written then.
    std::optional<UnixMicros> as_of = std::nullopt;
};

/// Opens the store that the URL names. Error: invalid_argument for a URL it cannot read,
/// unsupported for a scheme whose past it cannot read (StoreOptions::as_of). Does not touch the
/// place yet.
std::unique_ptr<ObjectStore> open_store(const std::string& url, const StoreOptions& options = {});

/// A store in memory, for tests.
std::unique_ptr<ObjectStore> make_memory_store();

}  // namespace ark
