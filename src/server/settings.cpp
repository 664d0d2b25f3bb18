#include "server/settings.hpp"

#include <unistd.h>

#include <csignal>

#include "server/repository_url.hpp"

extern "C" {
#include "miscadmin.h"
#include "port.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
}

#ifndef PG_ARK_BINDIR
#define PG_ARK_BINDIR "/usr/local/bin"
#endif

namespace ark {

Settings settings;

namespace {

struct StringSetting {
    const char* name;
    char** value;
    const char* boot;
    const char* short_description;
    const char* long_description;
    int flags;
    GucStringCheckHook check;
};

struct IntSetting {
    const char* name;
    int* value;
    int boot, min, max;
    const char* short_description;
    const char* long_description;
    int flags;
};

// A setting's error is told by GUC_check_* so that ALTER SYSTEM refuses it with the reason.
bool check_repositories(char** value, void**, GucSource) {
    const UrlProblem problem = check_repository_url(*value);
    if (problem.message == nullptr)
        return true;
    // Without the value, which the server's own message has: somebody may have put a password into
    // it.
    GUC_check_errcode(ERRCODE_INVALID_PARAMETER_VALUE);
    GUC_check_errmsg("invalid value for parameter \"%s\"", "pg_ark.repositories");
    GUC_check_errdetail("%c%s.%s%s", pg_toupper(static_cast<unsigned char>(problem.message[0])),
                        problem.message + 1, problem.detail != nullptr ? " " : "",
                        problem.detail != nullptr ? problem.detail : "");
    GUC_check_errhint("%s", problem.hint);
    return false;
}

bool check_cluster(char** value, void**, GucSource) {
    constexpr size_t kMaxLength = 64;
    const char* allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    const size_t length = strlen(*value);
    if (strspn(*value, allowed) == length && length <= kMaxLength && (*value)[0] != '.')
        return true;
    GUC_check_errdetail(
        "A cluster name has at most %zu letters, digits, \"_\", \"-\" and \".\", and "
        "does not begin with a dot.",
        kMaxLength);
    return false;
}

bool check_program(char** value, void**, GucSource) {
    if ((*value)[0] == '\0' || is_absolute_path(*value))
        return true;
    GUC_check_errdetail("\"%s\" is not an absolute path.", *value);
    GUC_check_errhint("Leave it empty to use the executable installed beside the server's own.");
    return false;
}

bool check_scratch_directory(char** value, void**, GucSource) {
    if ((*value)[0] == '\0' || is_absolute_path(*value))
        return true;
    GUC_check_errdetail("\"%s\" is not an absolute path.", *value);
    GUC_check_errhint("Leave it empty to use a directory beside the data directory.");
    return false;
}

bool check_key_file(char** value, void**, GucSource) {
    if ((*value)[0] == '\0' || is_absolute_path(*value))
        return true;
    GUC_check_errdetail("\"%s\" is not an absolute path.", *value);
    return false;
}

const struct config_enum_entry kEncryption[] = {
    {"none", kNoEncryption, false}, {"aes-256-gcm", kAesGcm, false}, {nullptr, 0, false}};
const char kEncryptionName[] = "pg_ark.encryption";
const char kWhenBusyName[] = "pg_ark.restore_test_when_busy";
const char kAuditFractionName[] = "pg_ark.audit_fraction";
const char kStreamingName[] = "pg_ark.wal_streaming";
const char kTrackingName[] = "pg_ark.change_tracking";

const struct config_enum_entry kWhenBusy[] = {
    {"wait", kWaitWhenBusy, false}, {"refuse", kRefuseWhenBusy, false}, {nullptr, 0, false}};

const struct config_enum_entry kCensus[] = {{"off", kNoCensus, false},
                                            {"catalog", kCensusOfCatalogs, false},
                                            {"auto", kCensusOfSafeRows, false},
                                            {"rows", kCensusOfRows, false},
                                            {nullptr, 0, false}};
const char kCensusName[] = "pg_ark.census";

const StringSetting kStrings[] = {
    {"pg_ark.repositories", &settings.repositories, "", "Where backups and WAL are kept, as a URL.",
     "One URL, of the form file:///directory, s3://bucket/prefix, azure://container/prefix or "
     "gs://bucket/prefix. Empty: nothing is archived, no backup can be taken.",
     GUC_SUPERUSER_ONLY, check_repositories},
    {"pg_ark.cluster", &settings.cluster, "", "Name of this cluster's directory in the repository.",
     "Empty: the system identifier.", 0, check_cluster},
    {"pg_ark.program", &settings.program, "", "Path of the pg_ark executable.",
     "Empty: \"pg_ark\" beside the server's own executable.", GUC_SUPERUSER_ONLY, check_program},
    {"pg_ark.scratch_directory", &settings.scratch_directory, "",
     "Directory in which restore tests bring backups up.",
     "Empty: pg_ark-scratch-<system identifier> beside the data directory.", GUC_SUPERUSER_ONLY,
     check_scratch_directory},
    {"pg_ark.restore_test_libraries", &settings.restore_test_libraries, "",
     "Libraries that the scratch server of a restore test preloads.",
     "Those that its tables need, for an access method or a resource manager of their own.",
     GUC_SUPERUSER_ONLY, nullptr},
    {"pg_ark.wal_conninfo", &settings.wal_conninfo, "",
     "How pg_ark connects to this server to receive its WAL.",
     "Empty: by its first Unix socket, as the role that is called as the server's operating system "
     "user.",
     GUC_SUPERUSER_ONLY, nullptr},
    {"pg_ark.encryption_key_file", &settings.encryption_key_file, "",
     "File with the key that opens the cluster's encryption keys.",
     "Nobody but its owner and group may read it. \"pg_ark key create\" makes one.",
     GUC_SUPERUSER_ONLY, check_key_file},
    {"pg_ark.encryption_key_command", &settings.encryption_key_command, "",
     "Command that prints the key that opens the cluster's encryption keys.",
     "Run by each pg_ark process once, when it starts, for at most 30 seconds.", GUC_SUPERUSER_ONLY,
     nullptr},
    {"pg_ark.encryption_recipients", &settings.encryption_recipients, "",
     "Public keys that a server encrypts for that has no key and shall not read.",
     "What \"pg_ark key export-recipient\" prints; several are separated by commas.",
     GUC_SUPERUSER_ONLY, nullptr},
    {"pg_ark.check_role", &settings.check_role, "ark_checker",
     "Role as which integrity checks run.",
     "It is to read everything and to do nothing else. CREATE EXTENSION makes it.", 0, nullptr},
#ifdef PG_ARK_TEST_FAULTS
    {"pg_ark.fault", &settings.fault, "", "Name of the step at which a process is to fail.",
     "For tests of pg_ark itself.", GUC_SUPERUSER_ONLY | GUC_NOT_IN_SAMPLE, nullptr},
#endif
};

const IntSetting kInts[] = {
    {"pg_ark.backup_jobs", &settings.backup_jobs, 2, 1, 64,
     "Number of lanes that read, compress and store at the same time in a backup.", nullptr, 0},
    {"pg_ark.compression_level", &settings.compression_level, 3, 1, 19,
     "Level of zstd compression of backups and WAL.", nullptr, 0},
    {"pg_ark.memory_limit", &settings.memory_limit_mb, 128, 32, 65536,
     "Most memory that one pg_ark process may use for its data.", nullptr, GUC_UNIT_MB},
    {"pg_ark.wal_timeout", &settings.wal_timeout_s, 600, 10, 86400,
     "How long a backup waits until the WAL it needs is in the repository.",
     "After that the backup fails.", GUC_UNIT_S},
    {"pg_ark.push_timeout", &settings.push_timeout_s, 60, 1, 3600,
     "Deadline for archiving one WAL file.",
     "After that the process that archives is stopped and the file is tried again.", GUC_UNIT_S},
    {"pg_ark.retry_timeout", &settings.retry_timeout_s, 300, 1, 86400,
     "How long object storage that cannot be reached is tried again before a backup fails.",
     "Counted for each operation. Archiving waits a quarter of pg_ark.push_timeout at most, and "
     "tries again.",
     GUC_UNIT_S},
    {"pg_ark.shutdown_timeout", &settings.shutdown_timeout_s, 30, 0, 3600,
     "How long archiving may hold up a shutdown of the server.",
     "Counted from the end of the shutdown checkpoint.", GUC_UNIT_S},
    {"pg_ark.wal_stream_interval", &settings.wal_stream_interval_ms, 1000, 100, 3600000,
     "How often WAL that was written is sent to the repository.",
     "Without meaning while commits wait for the repository (synchronous_standby_names).",
     GUC_UNIT_MS},
    {"pg_ark.wal_stream_pieces", &settings.wal_stream_pieces, 4096, 0, 1000000,
     "Pieces of one WAL segment in the repository after which the server begins a new segment.",
     "For segments of 16 MB or less; larger ones may have as many more. 0: any number.", 0},
    {"pg_ark.restore_test_limit", &settings.restore_test_limit, 2, 1, 8,
     "Number of restore tests that may run at the same time.",
     "pg_ark.restore_test_when_busy says what becomes of one more.", 0},
    {"pg_ark.restore_test_jobs", &settings.restore_test_jobs, 2, 1, 64,
     "Number of files and relations that a restore test or a verification works on at the same "
     "time.",
     nullptr, 0},
    {"pg_ark.restore_test_memory", &settings.restore_test_memory_mb, 64, 16, 65536,
     "Memory that the scratch server of a restore test is given.",
     "So much for its shared buffers, and as much for its checks.", GUC_UNIT_MB},
    {"pg_ark.verify_freshness", &settings.verify_freshness_s, 7 * 24 * 3600, 0, 30 * 24 * 3600,
     "How long an object that was verified is not read again by ark.verify_backup.",
     "It is still looked for, with its size. 0: everything is read always.", GUC_UNIT_S},
    {"pg_ark.audit_retention", &settings.audit_retention_days, 0, 0, 36500,
     "Days that entries stay in ark.audit_log.", "0: for ever.", 0},
    {"pg_ark.census_limit", &settings.census_limit_mb, 256, 0, 16777216,
     "Most that a backup reads of tables to count their rows for later drills.",
     "Smallest tables first.", GUC_UNIT_MB},
    {"pg_ark.census_timeout", &settings.census_timeout_s, 60, 1, 86400,
     "How long a backup may ask the databases for what later drills compare.",
     "It does so while files are copied, and at most ten seconds longer.", GUC_UNIT_S},
    {"pg_ark.integrity_timeout", &settings.integrity_timeout_s, 300, 1, 86400,
     "How long one integrity check may run.", "Unless it has a time of its own.", GUC_UNIT_S},
    {"pg_ark.integrity_retention", &settings.integrity_retention_days, 90, 0, 36500,
     "Days that results stay in ark.integrity_results.", "0: for ever.", 0},
};

void define_string(const StringSetting& s, GucContext context) {
    DefineCustomStringVariable(s.name, s.short_description, s.long_description, s.value, s.boot,
                               context, s.flags, s.check, nullptr, nullptr);
}

}  // namespace

void define_settings(bool preloaded) {
    for (const StringSetting& s : kStrings)
        define_string(s, PGC_SIGHUP);
    for (const IntSetting& s : kInts)
        DefineCustomIntVariable(s.name, s.short_description, s.long_description, s.value, s.boot,
                                s.min, s.max, PGC_SIGHUP, s.flags, nullptr, nullptr, nullptr);
    DefineCustomEnumVariable(kWhenBusyName, "What a restore test does where no more may run.",
                             "wait: for its turn. refuse: an error.",
                             &settings.restore_test_when_busy, kWaitWhenBusy, kWhenBusy, PGC_SIGHUP,
                             0, nullptr, nullptr, nullptr);
    DefineCustomEnumVariable(kEncryptionName, "How backups and WAL are encrypted.",
                             "Where the key can't be had nothing is archived.",
                             &settings.encryption, kNoEncryption, kEncryption, PGC_SIGHUP, 0,
                             nullptr, nullptr, nullptr);
    DefineCustomEnumVariable(kCensusName, "What a backup records for drills to compare.",
                             "off: sizes of tables alone. catalog: the catalogs, too. rows: also "
                             "counts and sums of rows, and ark.recorded_values. auto: the same, "
                             "without reading tables that have no data checksums.",
                             &settings.census, kCensusOfSafeRows, kCensus, PGC_SIGHUP, 0, nullptr,
                             nullptr, nullptr);
    DefineCustomBoolVariable(
        kStreamingName, "Sends WAL to the repository as it is written, not by segments alone.",
        nullptr, &settings.wal_streaming, true, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
    DefineCustomRealVariable(
        kAuditFractionName,
        "Share of the blocks called unchanged that an incremental backup reads all the same.",
        "Their LSNs show whether the tracking of changes has missed one. 0: none, 1: all.",
        &settings.audit_fraction, 0.01, 0, 1, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
    DefineCustomBoolVariable(
        kTrackingName, "Reads from WAL which blocks change, for incremental backups.", nullptr,
        &settings.change_tracking, true, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
    // Loaded late (by archive_library alone) a PGC_POSTMASTER setting would be a FATAL error.
    define_string({"pg_ark.database", &settings.database, "postgres",
                   "Database in which the extension pg_ark is created.", nullptr, 0, nullptr},
                  preloaded ? PGC_POSTMASTER : PGC_SIGHUP);
#ifndef PG_ARK_TEST_FAULTS
    static char no_fault[] = "";
    settings.fault = no_fault;
#endif
    MarkGUCPrefixReserved("pg_ark");
}

const char* encryption_name() {
    return kEncryption[settings.encryption].name;
}

bool host_only_writes() {
    return settings.encryption_recipients[0] != '\0' && settings.encryption_key_file[0] == '\0' &&
           settings.encryption_key_command[0] == '\0';
}

char* encryption_signature() {
    const bool on = settings.encryption != kNoEncryption;
    return psprintf("%s|%s|%s|%s|" INT64_FORMAT, encryption_name(), settings.encryption_key_file,
                    settings.encryption_key_command, settings.encryption_recipients,
                    on ? PgReloadTime : INT64CONST(0));
}

List* setting_names() {
    List* names = NIL;
    for (const StringSetting& s : kStrings)
        names = lappend(names, const_cast<char*>(s.name));
    for (const IntSetting& s : kInts)
        names = lappend(names, const_cast<char*>(s.name));
    names = lappend(names, const_cast<char*>(kWhenBusyName));
    names = lappend(names, const_cast<char*>(kEncryptionName));
    names = lappend(names, const_cast<char*>(kCensusName));
    names = lappend(names, const_cast<char*>(kAuditFractionName));
    names = lappend(names, const_cast<char*>(kTrackingName));
    return lappend(names, const_cast<char*>(kStreamingName));
}

bool is_secret_setting(const char* name) {
    for (const StringSetting& s : kStrings) {
        if (strcmp(s.name, name) == 0)
            return (s.flags & GUC_SUPERUSER_ONLY) != 0;
    }
    return false;
}

char* program_path() {
    if (settings.program[0] != '\0')
        return pstrdup(settings.program);
    char directory[MAXPGPATH];
    strlcpy(directory, my_exec_path, sizeof(directory));
    get_parent_directory(directory);
    char* beside = psprintf("%s/pg_ark", directory);
    if (access(beside, X_OK) == 0)
        return beside;
    char* installed = psprintf("%s/pg_ark", PG_ARK_BINDIR);
    return access(installed, X_OK) == 0 ? installed : beside;
}

#ifdef PG_ARK_TEST_FAULTS
// The setting is a list of point=action, as the executable reads it; a point alone means kill.
void fault_point(const char* name) {
    const char* item = strstr(settings.fault, name);
    const char* action = item == nullptr ? nullptr : item + strlen(name);
    if (action == nullptr || (*action != '=' && *action != ',' && *action != '\0'))
        return;
    ereport(LOG, (errmsg("fault point \"%s\" in process %d", name, MyProcPid)));
    if (strncmp(action, "=error", 6) == 0)
        ereport(ERROR, (errmsg("fault point \"%s\"", name)));
    else if (strncmp(action, "=sleep", 6) == 0)
        pg_usleep(60 * USECS_PER_SEC);
    else
        kill(MyProcPid, SIGKILL);
}
#endif

}  // namespace ark
