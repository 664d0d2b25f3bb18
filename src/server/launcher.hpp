#pragma once
#include "server/pg_version.hpp"

namespace ark {

/// Registers the launcher with the postmaster. Only while shared_preload_libraries is processed.
void register_launcher();

}  // namespace ark

extern "C" ARK_EXPORT void pg_ark_launcher_main(Datum);
