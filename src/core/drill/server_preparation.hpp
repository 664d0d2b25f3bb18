#pragma once

#include <string>
#include <vector>

#include "core/drill/inventory.hpp"
#include "core/drill/scratch_server.hpp"
#include "core/drill/task_pool.hpp"

namespace ark {

/// What single-user mode has made of the stopped copy.
struct PreparedServer {
    std::string superuser;  ///< the bootstrap superuser's name
    std::string database;   ///< one that could be opened
};

/// Makes the copy let itself be questioned: its superuser may log in, every database takes
/// connections, and what ALTER ROLE and ALTER DATABASE have set is gone. In single-user mode none
/// of that, and no event trigger, is in the way.
class ServerPreparation {
 public:
    ServerPreparation(const ScratchServer& server, std::string superuser)
        : server_(server), superuser_(std::move(superuser)) {}
    PreparedServer run(std::vector<std::string>& notes);

 private:
    const ScratchServer& server_;
    const std::string superuser_;  ///< as the backup knows it
};

/// "postgres" of ` 1: rolname = "postgres"	(typeid = 19, …`; empty where it is not there. Pure.
std::string superuser_in(const std::string& single_user_output);

/// Rolls back what is prepared, in each database: its locks would stop the checks. How many there
/// were.
uint64_t roll_back_prepared(TaskPool& pool, const std::vector<DatabaseInfo>& databases,
                            std::vector<std::string>& notes);

}  // namespace ark
