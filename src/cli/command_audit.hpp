#pragma once
/// What people do by command, in the cluster's audit log: docs/repository-format.md "Audit log".
#include <functional>
#include <memory>
#include <string>

#include "cli/command.hpp"

namespace ark {

/// One act. Empty: nothing to say.
struct CommandAct {
    std::string act;  ///< "restore", "key rotate"
    std::string target;
    std::string backup_id;
};

/// Who runs this command. Made before it gives up root.
struct CommandActor {
    CommandActor();

    std::string os_user;     ///< that it runs as
    std::string login_user;  ///< that logged in, where the kernel knows and it is another one
};

enum class AuditNeed {
    wanted,    ///< an entry that cannot be written is a warning
    required,  ///< it is the act's error, and the act is not done
};

/// Writes the entries of one act. By a connection of its own, which is soon given up: a store that
/// takes nothing at the moment must not hold up who reads from it. Encrypted where the cluster is.
class CommandAudit {
 public:
    /// `options` say where, `repository` has the cluster's vault. Nothing is written where they say
    /// --no-audit, or read the past. Error where it is required: what keeps it from being written.
    CommandAudit(const CommandActor& actor, const RepositoryOptions& options,
                 Repository& repository, std::string cluster, CommandAct act,
                 AuditNeed need = AuditNeed::wanted);

    /// The entry "accepted"; what `work` does, then its end: "completed" with the message that it
    /// returns, "failed", "cancelled". An end that cannot be written is a warning.
    void run(const std::function<std::string()>& work);
    /// One entry; false where it could not be written, which was told.
    bool add(const std::string& outcome, const std::string& message = {},
             const std::string& sqlstate = {});

 private:
    void open(const RepositoryOptions& options, Repository& repository);
    void store(const std::string& outcome, const std::string& message, const std::string& sqlstate);
    void require_or_tell(const Error& error);

    const CommandActor actor_;
    const std::string cluster_;
    const CommandAct act_;
    const AuditNeed need_;
    std::unique_ptr<Repository> repository_;  ///< nullptr: nothing is written
};

/// --no-audit.
void add_audit_option(CLI::App& command, RepositoryOptions& options);

}  // namespace ark
