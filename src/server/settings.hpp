#pragma once
#include "server/pg_version.hpp"

extern "C" {
#include "nodes/pg_list.h"
}

namespace ark {

/// What a restore test does where as many as may be at once are under way.
enum WhenBusy : int { kWaitWhenBusy, kRefuseWhenBusy };

/// What a backup asks the databases, for a drill to ask again.
/// kCensusOfSafeRows: of clusters with data checksums.
enum Census : int { kNoCensus, kCensusOfCatalogs, kCensusOfSafeRows, kCensusOfRows };

/// How what goes to the repository is encrypted.
enum Encryption : int { kNoEncryption, kAesGcm };

/// The values of the pg_ark.* settings, kept by the server. docs/configuration.md describes each.
/// Strings are never NULL. Read them on the main thread only, as all of the module does.
struct Settings {
    char* repositories;  ///< one repository URL, or ""
    char* cluster;       ///< directory of this cluster in the repository; "": the system identifier
    char* database;      ///< where the extension lives
    char* program;       ///< the executable; "": see program_path()
    int backup_jobs;     ///< lanes of a backup
    int compression_level;         ///< zstd
    int memory_limit_mb;           ///< of one child
    int wal_timeout_s;             ///< how long a backup waits for its WAL
    int push_timeout_s;            ///< hard deadline of one archived file
    int retry_timeout_s;           ///< how long a store that is out of reach is tried again
    int shutdown_timeout_s;        ///< bound of the archiver's last cycle
    double audit_fraction;         ///< of the blocks that an incremental backup does not hold
    bool wal_streaming;            ///< WAL goes to the repository as it is written
    bool change_tracking;          ///< tables of changed blocks are made of it
    int wal_stream_interval_ms;    ///< how often, where no commit waits for it
    int wal_stream_pieces;         ///< of a segment, before a new one is begun; 0: any number
    char* wal_conninfo;            ///< how the child connects; "": see wal_conninfo()
    char* scratch_directory;       ///< of restore tests; "": see scratch_directory()
    char* restore_test_libraries;  ///< shared_preload_libraries of the scratch server
    int restore_test_limit;        ///< at once
    int restore_test_when_busy;    ///< a WhenBusy
    int restore_test_jobs;         ///< threads and connections of one test
    int restore_test_memory_mb;    ///< of the scratch server
    int verify_freshness_s;        ///< what was verified since is not read again
    int encryption;                ///< an Encryption
    char* encryption_key_file;     ///< where the key comes from; at most one of the two
    char* encryption_key_command;
    char* encryption_recipients;   ///< whom a server writes for that has no key
    int audit_retention_days;      ///< 0: entries of the audit log stay
    char* check_role;              ///< as which integrity checks run
    int census;                    ///< a Census
    int census_limit_mb;           ///< of tables that a backup reads for it
    int census_timeout_s;          ///< how long it may take
    int integrity_timeout_s;       ///< of one check that has none of its own
    int integrity_retention_days;  ///< of their results; 0: they stay
    char* fault;                   ///< test builds only; else ""
};
extern Settings settings;

/// Defines the settings. Called once, from _PG_init. `preloaded`: whether this is the postmaster
/// loading shared_preload_libraries; only then may settings exist that need a restart.
void define_settings(bool preloaded);

/// "none" or "aes-256-gcm".
const char* encryption_name();
/// Whether this host writes for recipients and has no key: what is encrypted it cannot read again.
bool host_only_writes();
/// How encryption is set up, as a palloc'd text: a child that was started under another one is
/// outdated. Where it is on each reload makes another, so that a child reads keys that were
/// rotated.
char* encryption_signature();

/// Names of all settings, as a new List of const char*; and whether only superusers may see what
/// one is set to.
List* setting_names();
bool is_secret_setting(const char* name);

/// Path of the executable: pg_ark.program, else "pg_ark" beside the server's own executable, else
/// in the directory named at compile time. The result need not exist; it is palloc'd.
char* program_path();

/// In test builds: does what pg_ark.fault says for this point: name or name=kill, name=error
/// (throws), name=sleep.
#ifdef PG_ARK_TEST_FAULTS
void fault_point(const char* name);
#else
inline void fault_point(const char*) {}
#endif

}  // namespace ark
