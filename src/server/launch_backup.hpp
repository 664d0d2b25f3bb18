#pragma once
#include "server/jobs.hpp"

namespace ark {

/// Asks for a backup and returns its id (in request.backup_id, palloc'd copy) when its row is
/// committed and everybody can see it. Throws where a precondition does not hold, a backup is under
/// way, or no row appeared in time; then there is no backup, unless the message says otherwise. The
/// backup does not depend on the caller's transaction.
char* launch_backup(JobRequest* request, bool adopting);

/// <prefix>_YYYYMMDD_HH24MISS_xxxxxxxx, UTC, with random digits.
void make_backup_id(char* id, size_t size, const char* prefix);

/// Fills what every request has; throws on a NULL reason or one that is too long.
JobRequest* new_request(const char* backup_type, const char* reason);

}  // namespace ark
