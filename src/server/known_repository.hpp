#pragma once
/// Which repository this server has used. A repository is made where there is none, once: when its
/// directory is gone later (a file system that is not mounted) a new, empty one in its place would
/// look like success. The memory is a file below pg_wal, which backups leave out: a restored
/// cluster begins without it.
#include "server/pg_version.hpp"

namespace ark {

inline constexpr char kKnownRepositoryFile[] = "pg_wal/pg_ark.repository";

/// The id of the repository that was used at the URL of pg_ark.repositories, palloc'd; NULL: none
/// yet.
char* known_repository_id();

/// Notes durably that this repository is used from now on. Throws where it is not the known one.
void remember_repository(const char* id);

/// Throws ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE where another repository than this one is known.
void require_known_repository(const char* id);

}  // namespace ark
