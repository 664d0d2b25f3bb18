#pragma once
/// What is known of the tracking of changed blocks: kept in shared memory by the WAL worker.
#include "server/shared.hpp"

namespace ark {

/// A copy of what is in shared memory, palloc'd. Never NULL where the library was preloaded.
ChangeStatus* copy_of_change_status();

/// By any process: a backup has found so many pages that had changed although their table said
/// that they had not.
void note_audit_misses(uint64 count);

}  // namespace ark
