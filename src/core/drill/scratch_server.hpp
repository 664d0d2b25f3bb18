#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/drill/guarded_process.hpp"
#include "core/drill/programs.hpp"
#include "core/drill/server_settings.hpp"

namespace ark {

/// A server that has ended before it should.
struct ServerEnd {
    ProgramEnd end;
    std::string log;  ///< what it wrote since it was started (the last 4 MB)
};

/// Error: what its end says of this host, and nothing of the backup: killed, no room, no memory, a
/// library that is not here. Returns where it may be the backup's fault.
void throw_unless_of_backup(const ServerEnd& end);

/// The server of one test.
class ScratchServer {
 public:
    ScratchServer(std::string guard, ServerPrograms programs, ScratchServerPlan plan,
                  const ScratchDirectory& scratch, Watch& watch);

    /// Writes its configuration, and empties postgresql.auto.conf.
    void configure() const;
    void start();
    /// Waits until it takes connections: recovery, where there is one, is over then and the cluster
    /// is in production. Its end where it ends. Error: timeout when nothing at all happens for ten
    /// minutes.
    std::optional<ServerEnd> wait_until_ready();
    /// nullopt while it runs.
    std::optional<ServerEnd> ended();
    /// Waits up to `millis` for its end.
    std::optional<ServerEnd> wait_for_end(int millis);
    /// Fast shutdown, with a checkpoint. Error: timeout; as throw_unless_of_backup.
    void stop();
    /// At once.
    void kill() noexcept { process_.reset(); }

    /// Runs statements, one a line, as the bootstrap superuser of the stopped cluster, past all
    /// settings, permissions and event triggers of its own; the output.
    ProgramOutput run_single_user(const std::string& database, const std::string& statements) const;

    /// What it wrote since it was started (the last 4 MB).
    std::string log() const;

    const ScratchServerPlan& plan() const { return plan_; }
    const ServerPrograms& programs() const { return programs_; }

 private:
    void forget_recovery() const;
    bool is_ready() const;
    uint64_t sign_of_life() const;
    std::string log_path() const { return scratch_.path("server.log"); }

    const std::string guard_;
    const ServerPrograms programs_;
    const ScratchServerPlan plan_;
    const ScratchDirectory& scratch_;
    Watch& watch_;
    std::unique_ptr<GuardedProcess> process_;
    uint64_t log_offset_ = 0;
    bool has_been_ready_ = false;  ///< recovery is over, once and for all
};

}  // namespace ark
