#pragma once

#include <sys/stat.h>

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "core/base/error.hpp"
#include "core/base/file.hpp"

namespace ark {

/// system_error for a file of a local repository: answers of a file system that is not reachable at
/// the moment become unavailable, a full one gets a hint.
Error local_store_error(int error_number, const std::string& what);

/// True when the open directory has been removed: what was to be made in it is to be tried again in
/// a new one of its name.
bool is_removed(const File& directory);

/// As root: gives what was made in the directory to the directory's owner. A server could not read
/// what a command of root's has stored for it. Best effort: not every file system knows owners.
void give_to_owner(const File& directory, const File& made) noexcept;

/// How often such a try is repeated before it counts as a failure.
constexpr int kMaxRounds = 100;

/// The directories of a local repository, walked one part at a time without following symbolic
/// links. Thread-safe.
class LocalTree {
 public:
    explicit LocalTree(std::string root) : root_(std::move(root)) {}

    const std::string& root() const { return root_; }
    /// The path of an object, for messages.
    std::string path_of(const std::string& name) const;

    /// Error: unavailable when it is gone (see make_local_store).
    File open_root() const;
    /// nullopt when it does not exist and no mark was seen in it yet.
    std::optional<File> find_root() const;
    /// mkdir of the root, durable; nothing where it exists.
    void create_root() const;
    /// From now on a root without ark.json, or with another one, counts as gone.
    void note_mark();

    /// The directory of this name ("" for the root); nullopt when it is not there.
    std::optional<File> find_directory(const std::string& name) const;
    /// Makes it where it is missing. It and everything above is durable when this returns.
    File make_directory(const std::string& name);
    /// Removes the directory and those above it as long as they are empty; never the root.
    void remove_empty(const std::string& name) const noexcept;

 private:
    std::optional<File> find_child(const File& parent, const std::string& part) const;
    std::optional<File> make_child(const File& parent, const std::string& part);
    void make_durable(const File& parent, const File& child);
    void check_mark(const File& root) const;

    /// ark.json as it was seen. Another file system mounted over the root may have a repository,
    /// too: nothing of this one belongs there.
    struct Mark {
        dev_t device = 0;
        ino_t inode = 0;
        std::string content;
    };
    Mark read_mark(const File& root) const;

    const std::string root_;
    std::atomic<bool> mark_seen_ = false;
    mutable std::mutex mutex_;
    mutable Mark mark_;
    std::map<std::string, ino_t> durable_;  ///< directories whose parents this process has fsynced
};

}  // namespace ark
