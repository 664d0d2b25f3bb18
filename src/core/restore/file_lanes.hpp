#pragma once

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "core/repo/chain.hpp"
#include "core/restore/file_queue.hpp"
#include "core/restore/layered_file.hpp"

namespace ark {

/// What one of several threads does with the pieces of work that it gets.
class FileLane {
 public:
    FileLane() = default;
    FileLane(const FileLane&) = delete;
    FileLane& operator=(const FileLane&) = delete;
    virtual ~FileLane() = default;

    /// Work that takes long looks at `abandoned` in between, and returns early when it says so.
    /// What it throws ends all lanes.
    virtual void take(const FileWork& work, const std::function<bool()>& abandoned) = 0;
};

/// Lanes with a thread each. push, finish and the destructor are for the thread that made them.
class FileLanes {
 public:
    /// `make` is called once in each thread. `tick` is called on the owner's thread a few times a
    /// second while it waits in here; what it throws comes through.
    FileLanes(int jobs, const std::function<std::unique_ptr<FileLane>()>& make,
              std::function<void()> tick);
    /// Stops and joins.
    ~FileLanes();
    FileLanes(const FileLanes&) = delete;
    FileLanes& operator=(const FileLanes&) = delete;

    /// Waits for room. Error: what a lane threw.
    void push(FileWork work);
    /// Waits until all that was pushed is done. Error: what a lane threw.
    void finish();

 private:
    void stop();

    FileQueue queue_;
    std::function<void()> tick_;
    std::vector<std::thread> threads_;
};

/// Streams the backup's own index: directories to `directory` on this thread, before anything in
/// them; files to the lanes, which get together what lies together in a pack, so that each frame is
/// fetched and decompressed once; only frames at the edge of a batch (some 256 MB) are read again.
/// Returns when the last has been pushed: finish waits for them.
///
/// Error: corrupt where the index is damaged (files before the damage have been pushed), and what a
/// lane or the store throws.
void push_files(Repository& repository, const BackupMarker& backup, FileLanes& lanes,
                const std::function<void(const IndexEntry&)>& directory);

/// The same for a restore: files of which the tip has the changed blocks alone come in pieces, of
/// every backup that gives something to them; batches are larger then, by what they take in memory.
/// Lanes may get parts of large files, but with `delta`, where files may be right already: they are
/// compared as a whole.
void push_restored_files(Repository& repository, const BackupChain& chain, FileLanes& lanes,
                         bool delta, RestoredChecksums& checksums,
                         const std::function<void(const IndexEntry&)>& directory);

}  // namespace ark
