#pragma once

#include <string>
#include <vector>

#include "core/base/file.hpp"

namespace ark {

/// Where one test works: `<scratch>/pg_ark-test-<test id>`, 0700. As long as its owner lives it
/// holds a lock on the file `lock` in it; what is found unlocked is left over, and anybody's to
/// remove.
class ScratchDirectory {
 public:
    /// Makes it, and the scratch directory where that is missing. Error: already_exists for a test
    /// id in use, system_error's.
    ScratchDirectory(const std::string& scratch, const std::string& test_id);
    /// Removes it unless it is kept; what cannot be removed is the next sweep's.
    ~ScratchDirectory();
    ScratchDirectory(const ScratchDirectory&) = delete;
    ScratchDirectory& operator=(const ScratchDirectory&) = delete;

    const std::string& path() const { return path_; }
    std::string path(const std::string& name) const { return path_ + "/" + name; }
    /// Where the server's socket is: in the directory, or below /tmp where the name would be too
    /// long for a socket.
    const std::string& socket_directory() const { return socket_directory_; }

    /// It stays, and a sweep leaves it alone: a person removes it.
    void keep();
    /// Ends what runs in it and removes everything. Error: as system_error.
    void remove();

 private:
    bool is_below_tmp() const;

    std::string scratch_;
    std::string path_;
    std::string socket_directory_;
    File lock_;
    File socket_lock_;  // of a directory below /tmp
    bool made_scratch_ = false;
    bool kept_ = false;
    bool removed_ = false;
};

/// The directory may hold a restore test: it is in no cluster's data directory, in none of
/// `keep_away`, and apart from the repository. All but the URL absolute. Error: refused.
void check_scratch_place(const std::string& scratch, const std::vector<std::string>& keep_away,
                         const std::string& repository_url);

}  // namespace ark
