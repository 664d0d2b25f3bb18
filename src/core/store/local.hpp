#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/store/object_store.hpp"

namespace ark {

struct LocalOptions {
    /// Write through O_TMPFILE where the file system has it, so that a killed writer leaves nothing
    /// behind. Tests turn it off to reach the other way.
    bool unnamed_temporaries = true;
};

/// A store in a directory (absolute path, need not exist yet).
///
/// Objects are files of mode 0600 in directories of mode 0700; of root's making they belong to the
/// owner of the directory above. A created object is durable: file, directory and every directory
/// above it up to the root have been fsynced. Symbolic links below the root are never followed
/// (Error: refused); the root itself may be one.
///
/// A root that is gone is Error unavailable, never "the object is not there": an unmounted file
/// system must not read as an empty repository. The same holds where the root is there but has lost
/// an ark.json that this store has seen, or has another one. Two exceptions let a repository be
/// made: putting "ark.json" makes the root directory (not its parents), and a root that was never
/// seen lists nothing.
std::unique_ptr<ObjectStore> make_local_store(const std::string& root, LocalOptions options = {});

/// The directory that a file:// URL names, decoded; nullopt for other schemes. Error:
/// invalid_argument.
std::optional<std::string> local_store_path(const std::string& url);

}  // namespace ark
