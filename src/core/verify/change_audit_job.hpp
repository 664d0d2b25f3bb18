#pragma once

#include <string>

#include "core/verify/job.hpp"

namespace ark {

struct ChangeAuditRequest {
    std::string cluster;
    std::string backup_id;
    std::string test_id;
    std::string data_directory;  ///< of the server that the backup is of
};

/// Holds every block that an incremental backup calls unchanged against the data directory: a page
/// whose LSN lies between the parent's start and the backup's was changed, and is missing in the
/// backup. Each is a finding. Works as long as the server lives on: what changes later has a later
/// LSN. Stores nothing; the evidence's kind is change_audit.
///
/// Error: not_found (no such backup, or its parent's), refused (a full backup, another cluster's,
/// or one that is not of this server's history), corrupt (its index).
Evidence audit_changes(Repository& repository, const ChangeAuditRequest& request,
                       VerifyListener& listener);

}  // namespace ark
