#pragma once
/// Everything in which PostgreSQL 15 to 19 (which is not released yet) differ for the module, one
/// function or macro each. Every other file of src/server is the same for all of them. Includes
/// postgres.h, so it comes before other PostgreSQL headers.

// PostgreSQL's headers and macros are C: 15 has `register`, all have ++ on volatile counters.
#pragma GCC diagnostic ignored "-Wregister"
#pragma GCC diagnostic ignored "-Wvolatile"

extern "C" {
#include "postgres.h"

#include "fmgr.h"
#if PG_VERSION_NUM >= 160000
#include "archive/archive_module.h"
#else
#include "postmaster/pgarch.h"
#endif
#include "pgstat.h"
#include "utils/wait_event.h"
#if PG_VERSION_NUM >= 190000
#include "utils/lsyscache.h"  // get_database_name
#else
#include "commands/dbcommands.h"
#endif
}

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 200000
#error "pg_ark supports PostgreSQL 15 to 19"
#endif

/// The module is compiled with hidden symbols: what the server looks up is exported by name.
#define ARK_EXPORT __attribute__((visibility("default")))

/// What makes a library a module. Since 18 pg_get_loaded_modules() shows its name and version.
#if PG_VERSION_NUM >= 180000
#define ARK_MODULE_MAGIC PG_MODULE_MAGIC_EXT(.name = "pg_ark", .version = PG_ARK_VERSION)
#else
#define ARK_MODULE_MAGIC PG_MODULE_MAGIC
#endif

/// Declared in libpq/libpq.h, which wants the headers of Kerberos where the server was built with
/// it.
extern "C" bool pq_check_connection(void);

/// Opens the definition of a function that SQL calls.
#define ARK_SQL_FUNCTION(name)                               \
    extern "C" {                                             \
    ARK_EXPORT Datum name(PG_FUNCTION_ARGS);                 \
    ARK_EXPORT const Pg_finfo_record* pg_finfo_##name(void); \
    PG_FUNCTION_INFO_V1(name);                               \
    }                                                        \
    extern "C" Datum name([[maybe_unused]] PG_FUNCTION_ARGS)

/// Defines _PG_archive_module_init from three functions that know nothing of the version:
/// bool configured(), bool file(const char* name, const char* path), void shutdown().
#if PG_VERSION_NUM >= 160000
#define ARK_ARCHIVE_MODULE(configured, file, shutdown)                                            \
    static bool ark_archive_configured(ArchiveModuleState*) {                                     \
        return configured();                                                                      \
    }                                                                                             \
    static bool ark_archive_file(ArchiveModuleState*, const char* name, const char* path) {       \
        return file(name, path);                                                                  \
    }                                                                                             \
    static void ark_archive_shutdown(ArchiveModuleState*) {                                       \
        shutdown();                                                                               \
    }                                                                                             \
    extern "C" {                                                                                  \
    ARK_EXPORT const ArchiveModuleCallbacks* _PG_archive_module_init(void);                       \
    const ArchiveModuleCallbacks* _PG_archive_module_init(void) {                                 \
        static const ArchiveModuleCallbacks callbacks = {nullptr, ark_archive_configured,         \
                                                         ark_archive_file, ark_archive_shutdown}; \
        return &callbacks;                                                                        \
    }                                                                                             \
    }                                                                                             \
    static_assert(true)
#else
#define ARK_ARCHIVE_MODULE(configured, file, shutdown)                          \
    extern "C" {                                                                \
    ARK_EXPORT void _PG_archive_module_init(ArchiveModuleCallbacks* callbacks); \
    void _PG_archive_module_init(ArchiveModuleCallbacks* callbacks) {           \
        callbacks->check_configured_cb = configured;                            \
        callbacks->archive_file_cb = file;                                      \
        callbacks->shutdown_cb = shutdown;                                      \
    }                                                                           \
    }                                                                           \
    static_assert(true)
#endif

namespace ark {

/// For pqsignal, whose handlers take a second argument since 19.
inline pqsigfunc ignore_signal() {
#if PG_VERSION_NUM >= 190000
    return PG_SIG_IGN;
#else
    return SIG_IGN;
#endif
}

/// The wait event shown in pg_stat_activity while a process of ours waits: named since 17.
inline uint32 wait_event() {
#if PG_VERSION_NUM >= 170000
    static uint32 event = 0;
    if (event == 0)
        event = WaitEventExtensionNew("PgArk");
    return event;
#else
    return PG_WAIT_EXTENSION;
#endif
}

// Of I/O statistics (pg_stat_io, of one backend since 18) nothing is to be reported: a job's bytes
// are moved by its child, which is no server process, and what the worker itself reads and writes
// through the server's API is counted there as of any background worker.

/// SQL that lists the files that pg_hba.conf and pg_ident.conf include (possible since 16), or
/// NULL.
inline const char* hba_includes_query() {
#if PG_VERSION_NUM >= 160000
    return "SELECT file_name FROM pg_catalog.pg_hba_file_rules UNION "
           "SELECT file_name FROM pg_catalog.pg_ident_file_mappings";
#else
    return nullptr;
#endif
}

/// Whether the server knows transaction_timeout (since 17), which a long job has to switch off.
inline constexpr bool kHasTransactionTimeout = PG_VERSION_NUM >= 170000;

/// Whether the archiver refuses archive_command beside archive_library (since 16); 15 takes the
/// library and ignores the command.
inline constexpr bool kLibraryBesideCommandIsError = PG_VERSION_NUM >= 160000;

}  // namespace ark
