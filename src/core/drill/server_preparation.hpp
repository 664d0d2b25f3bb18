#pragma once

#include <cstdint>
#include <string>

#include "core/drill/scratch_server.hpp"

namespace ark {

/// What single-user mode has made of the stopped copy.
struct PreparedServer {
    std::string superuser;  ///< of the test's own; where it could not be made, the source's
    std::string reader;     ///< may read everything, and do nothing else; empty: could not be made
    std::string database;   ///< one that could be opened
    std::string trouble;    ///< why there is no reader: the server's own words
};

/// Makes the copy let itself be questioned: every database takes connections, and what ALTER ROLE
/// and ALTER DATABASE have set is gone. In single-user mode none of that, and no event trigger, is
/// in the way.
///
/// And takes from all of the copy's roles, the superusers too, what reaches out of it: a check
/// computes expressions of indexes, which are anybody's code.
class ServerPreparation {
 public:
    ServerPreparation(const ScratchServer& server, std::string superuser)
        : server_(server), superuser_(std::move(superuser)) {}
    PreparedServer run();

 private:
    const ScratchServer& server_;
    const std::string superuser_;  ///< as the backup knows it
};

/// "postgres" of ` 1: rolname = "postgres"	(typeid = 19, …`; empty where it is not there. Pure.
std::string role_in(const std::string& single_user_output);

/// Rolls back what is prepared in the stopped copy: its locks would stop the preparation, and the
/// checks. How many there were.
uint64_t discard_prepared(const std::string& data_directory);

}  // namespace ark
