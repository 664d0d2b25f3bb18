// Entry point of pg_ark.so.
#include "server/audit_refusals.hpp"
#include "server/launcher.hpp"
#include "server/settings.hpp"
#include "server/shared.hpp"
#include "server/wal_worker.hpp"

extern "C" {
#include "miscadmin.h"
}

extern "C" {
ARK_EXPORT extern const Pg_magic_struct* PG_MAGIC_FUNCTION_NAME(void);
ARK_MODULE_MAGIC;
ARK_EXPORT void _PG_init(void);  // NOLINT(readability-identifier-naming)
}

// Loaded late (by archive_library alone, or by a function) there is no shared memory: the archive
// module works without it, everything else says what is missing.
void _PG_init(void) {  // NOLINT(readability-identifier-naming)
    const bool preloaded = process_shared_preload_libraries_in_progress;
    ark::define_settings(preloaded);
    if (!preloaded)
        return;
    ark::request_shared_memory();
    ark::watch_refusals();
    ark::register_launcher();
    ark::register_wal_worker();
}
