#include "server/preconditions.hpp"

#include "server/clone.hpp"
#include "server/repository_url.hpp"
#include "server/settings.hpp"
#include "server/shared.hpp"

extern "C" {
#include "access/xlog.h"
#include "miscadmin.h"
#include "postmaster/pgarch.h"
}

namespace ark {
namespace {

constexpr int kNotReady = ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;

Problem fine(const char* found) {
    return {0, nullptr, found, nullptr};
}

Problem library_loaded() {
    if (shared == nullptr)
        return {kNotReady, "pg_ark is not loaded at the start of the server", nullptr,
                "Add pg_ark to shared_preload_libraries and restart the server."};
    return fine("in shared_preload_libraries");
}

Problem database() {
    const char* here = get_database_name(MyDatabaseId);
    if (here != nullptr && strcmp(here, settings.database) == 0)
        return fine(psprintf("\"%s\"", here));
    return {
        kNotReady,
        psprintf("pg_ark belongs to database \"%s\", not to \"%s\"", settings.database,
                 here != nullptr ? here : ""),
        "One database of the cluster holds the extension; its workers connect there.",
        "Connect to that database, or name this one in pg_ark.database and restart the server."};
}

Problem not_standby() {
    if (RecoveryInProgress())
        return {ERRCODE_READ_ONLY_SQL_TRANSACTION, "a standby cannot take backups",
                "The server is in recovery.", "Connect to the primary server."};
    return fine("not in recovery");
}

Problem clone() {
    if (is_clone())
        return {kNotReady, "this cluster is a restored copy and takes no backups",
                psprintf("Its data directory holds the file \"%s\".", kCloneMarker),
                "If it has taken the original's place run SELECT ark.adopt()."};
    return fine("not a restored copy");
}

Problem enough_wal() {
    if (wal_level < WAL_LEVEL_REPLICA)
        return {kNotReady, "wal_level is too low for backups", "It is minimal.",
                "Set wal_level to replica or logical and restart the server."};
    return fine(wal_level == WAL_LEVEL_REPLICA ? "replica" : "logical");
}

Problem archive_mode() {
    if (XLogArchiveMode == ARCHIVE_MODE_OFF)
        return {kNotReady, "archive_mode is off", "A backup is worth nothing without its WAL.",
                "Set archive_mode to on and restart the server."};
    if (XLogArchiveMode == ARCHIVE_MODE_ALWAYS)
        return {kNotReady, "archive_mode = always is not supported",
                "A standby would archive restored files under the names of real ones.",
                "Set archive_mode to on and restart the server."};
    return fine("on");
}

bool command_is_set() {
    return XLogArchiveCommand != nullptr && XLogArchiveCommand[0] != '\0';
}

Problem archive_library() {
    const char* library = XLogArchiveLibrary != nullptr ? XLogArchiveLibrary : "";
    const char* slash = strrchr(library, '/');
    const char* name = slash != nullptr ? slash + 1 : library;
    if (strcmp(name, "pg_ark") == 0 || strcmp(name, "pg_ark.so") == 0) {
        if (!command_is_set())
            return fine("pg_ark");
        if (!kLibraryBesideCommandIsError)
            return fine("pg_ark; archive_command is set too, and ignored");
        return {kNotReady, "archive_command is set beside archive_library",
                "The archiver archives nothing while both are set.",
                "Set archive_command to an empty string and reload the configuration."};
    }
    return {kNotReady, "archive_library is not pg_ark",
            library[0] == '\0' ? "It is empty." : psprintf("It is \"%s\".", library),
            "Set archive_library to pg_ark and reload the configuration."};
}

Problem repository_setting() {
    const UrlProblem problem = check_repository_place();
    if (problem.message == nullptr)
        return fine("set, outside the server's own directories");
    return {ERRCODE_INVALID_PARAMETER_VALUE, problem.message, problem.detail, problem.hint};
}

Problem launcher() {
    if (shared == nullptr)
        return library_loaded();
    lock_shared(LW_SHARED);
    const pid_t pid = shared->launcher_pid;
    unlock_shared();
    if (pid == 0)
        return {kNotReady, "the pg_ark launcher is not running",
                "It starts with the server and again 5 seconds after it ended.",
                "See the server's log; max_worker_processes may be too low for it."};
    return fine(psprintf("process %d", static_cast<int>(pid)));
}

[[noreturn]] void throw_problem(const Problem& problem) {
    ereport(ERROR, (errcode(problem.sqlstate), errmsg_internal("%s", problem.message),
                    problem.detail != nullptr ? errdetail_internal("%s", problem.detail) : 0,
                    problem.hint != nullptr ? errhint("%s", problem.hint) : 0));
    pg_unreachable();
}

}  // namespace

const Precondition kPreconditions[] = {
    {"library_loaded", library_loaded},
    {"database", database},
    {"not_standby", not_standby},
    {"clone", clone},
    {"wal_level", enough_wal},
    {"archive_mode", archive_mode},
    {"archive_library", archive_library},
    {"repository_setting", repository_setting},
    {"launcher", launcher},
};
const int kPreconditionCount = lengthof(kPreconditions);

bool archives_with_pg_ark() {
    return archive_mode().message == nullptr && archive_library().message == nullptr;
}

void require_preconditions(bool adopting) {
    for (const Precondition& precondition : kPreconditions) {
        if (adopting && precondition.check == clone)
            continue;
        const Problem problem = precondition.check();
        if (problem.message != nullptr)
            throw_problem(problem);
    }
}

void require_loaded_here() {
    Problem (*const checks[])() = {library_loaded, database};
    for (const auto check : checks) {
        const Problem problem = check();
        if (problem.message != nullptr)
            throw_problem(problem);
    }
}

}  // namespace ark
