#pragma once
/// What a backup needs of the server itself. Each call is one short transaction, or none.
#include "server/shared.hpp"

extern "C" {
#include "nodes/pg_list.h"
}

namespace ark {

/// Strings are palloc'd in the caller's context.
struct ServerFacts {
    const char* reason;  ///< UTF-8, as `role`
    const char* role;
    const char* superuser;  ///< name of the bootstrap superuser
    const char* config_file;
    const char* hba_file;
    const char* ident_file;
    List* distrusted;  ///< ids of backups that nothing is to be built on
    List* includes;    ///< of char*: configuration files beyond those three
};

struct BackupStart {
    XLogRecPtr lsn;
    TimeLineID timeline;
    bool full_page_writes;
};

struct BackupStop {
    XLogRecPtr lsn;
    TimeLineID timeline;
    const char* label;
    const char* tablespace_map;
    const char* snapshot;  ///< pg_current_snapshot() after the stop
    XLogRecPtr flush_lsn;
};

ServerFacts read_server_facts(const JobRequest& request);
/// pg_backup_start with an immediate checkpoint: a spread one would hold its snapshot for minutes.
/// The state belongs to this process and is given up when it ends.
BackupStart backup_start(const char* label);
/// pg_backup_stop, without waiting for the archive: the child waits for what is durable in the
/// repository.
BackupStop backup_stop();
}  // namespace ark
