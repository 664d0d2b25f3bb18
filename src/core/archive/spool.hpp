#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/archive/recovery_process.hpp"
#include "core/base/bytes.hpp"
#include "core/base/clock.hpp"
#include "core/base/file.hpp"
#include "core/pipeline/content_hash.hpp"

namespace ark {

/// Below a data directory: where segments wait that its recovery will ask for. In pg_wal, so that a
/// segment is handed over by a rename, and neither base backups nor restores look at it.
constexpr const char* kSpoolDirectory = "pg_wal/pg_ark.spool";

/// All that decides what a segment's bytes are.
struct SpoolOrigin {
    std::string repository_url;
    std::string cluster;          ///< as asked for: may be empty
    std::string target_timeline;  ///< as asked for
    uint64_t system_identifier = 0;
    std::optional<UnixMicros> as_of = {};  ///< whose past is read: StoreOptions::as_of
};
/// Sixteen hexadecimal digits that stand for it, and for the process that recovers: what was
/// fetched for an earlier recovery may come from a repository that is no more, though the URL is
/// the same.
std::string spool_key(const SpoolOrigin& origin, const RecoveryProcess& process);

/// A segment in the spool.
struct SpooledSegment {
    std::string path;
    Hash128 hash;          ///< of its content
    bool is_free = false;  ///< as judge_tablespaces says, or the next segment
};

/// What the last wal-get asked for.
struct SpoolWish {
    std::string segment;
    bool from_spool = false;  ///< and it was there

    bool operator==(const SpoolWish&) const = default;
};

/// The spool of one data directory, as those see it who share a key. What lies there under another
/// key is nobody's, and is not given out.
///
///   <segment>.<key>.<XXH128>.f|s  a whole segment; s: it has to be scanned for tablespaces
///   <segment>.<key>.part          one that is being fetched
///   wanted                        key, segment, where it came from: the last request
///   confirmed                     boot time in nanoseconds: the way to the target was right then
///   lock                          held by the prefetcher as long as it lives
///
/// Nothing is fsynced: the name tells what the content must be. Whole segments appear by a rename.
/// Used by several processes at a time, and by several threads.
class Spool {
 public:
    Spool(const std::string& data_directory, std::string key);

    const std::string& directory() const { return directory_; }
    /// Makes the directory where it is missing.
    void create() const;

    // For wal-get.

    /// The segment, if it is there and whole: while the prefetcher lives it is, since that one has
    /// written it, and a crash of the machine would have ended it; else its content has to be what
    /// its name says, and what fails that is removed. Never throws: what cannot be read is not
    /// there. It may be gone before it is taken.
    std::optional<SpooledSegment> find(const std::string& segment) const noexcept;
    /// True while the prefetcher is at it.
    bool is_coming(const std::string& segment) const;
    /// Tells the prefetcher where recovery is.
    void want(const SpoolWish& wish) const;
    /// Whether the way was confirmed within the last `nanos`.
    bool was_confirmed(int64_t nanos) const;

    // For the prefetcher.

    void begin(const std::string& segment) const;
    /// After begin: its bytes, which nobody sees yet.
    void write(const std::string& segment, ByteView content) const;
    /// After write, with the hash of what was written: from here on it may be taken.
    void publish(const std::string& segment, const Hash128& hash, bool is_free) const;
    /// After publish: it needs no scan after all. Nothing where it is gone.
    void set_free(const std::string& segment, const Hash128& hash) const noexcept;
    /// After begin, where nothing came of it. Never throws.
    void give_up(const std::string& segment) const noexcept;
    /// nullopt where nobody asked yet. Error: conflict where the last one had another key.
    std::optional<SpoolWish> wanted() const;
    /// `now`: boot_nanos() from before the question was asked.
    void confirm(int64_t now) const;
    /// Names of whole segments of this key, each once.
    std::vector<std::string> segments() const;
    /// Removes all segments, whoever has left them.
    void clear() const;
    void remove(const std::string& segment) const;

 private:
    std::string part_of(const std::string& segment) const;
    std::string path_of(const std::string& segment, const Hash128& hash, bool is_free) const;
    std::optional<std::string> name_of(const std::string& segment) const;

    std::string directory_;
    std::string key_;
};

/// Who may fill a spool: one process a data directory.
class SpoolLock {
 public:
    /// nullopt where another process has it. The directory is there.
    static std::optional<SpoolLock> take(const std::string& spool_directory);
    /// For who was started with it.
    explicit SpoolLock(int fd, const std::string& spool_directory);

    /// True while some process holds it.
    static bool is_taken(const std::string& spool_directory) noexcept;

    int fd() const { return file_.fd(); }
    /// Removes the spool with all that is in it, the lock last. Never throws.
    void remove_spool() noexcept;

 private:
    SpoolLock(File file, std::string directory);

    File file_;
    std::string directory_;
};

/// Removes a spool that nobody fills any more. Never throws.
void remove_abandoned_spool(const std::string& data_directory) noexcept;

/// Nanoseconds since this machine was started, the same for all its processes.
int64_t boot_nanos();

}  // namespace ark
