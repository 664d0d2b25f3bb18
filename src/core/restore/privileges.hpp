#pragma once

#include <sys/types.h>

#include <string>

namespace ark {

struct Owner {
    uid_t uid = 0;
    gid_t gid = 0;
    std::string name;  ///< the number where the user has no name
};

/// To whom the data directory belongs or will belong: its owner, else the owner of the nearest
/// directory above it that exists.
Owner owner_for(const std::string& data_directory);

/// As root: gives up root for good and goes on as that owner, so that nothing is left behind that
/// PostgreSQL cannot read, and what the server will not be able to read (repository, program) shows
/// now. Error: refused when the owner would be root. Does nothing for other users. Call while the
/// process has one thread.
void become_owner(const std::string& data_directory);

}  // namespace ark
