#pragma once

#include <optional>
#include <string>

#include "core/archive/fetch_context.hpp"
#include "core/archive/tablespace_guard.hpp"
#include "core/pgdata/wal_name.hpp"

namespace ark {

/// For a segment that the repository has nothing of: the first one behind it that it has something
/// of, whole or in pieces, on its timeline or on those that the way enters later. Then it is not
/// the end of WAL but a hole: recovery needs all of it, and must not end here.
///
/// nullopt where nothing is listed behind it; where the way leaves its timeline in it or before
/// (without a target: a way that the server has a history of in its own pg_wal); where it lies
/// before its timeline's begin; where the server's own pg_wal has the whole of it. A listing may
/// lag, and a running server stores whole segments out of order. Costs three listings and, where
/// something is found, perhaps a read. Error: what the store throws; corrupt for a history.
std::optional<std::string> find_wal_behind(const FetchContext& context,
                                           const RecoveringCluster& cluster,
                                           const std::string& segment);

}  // namespace ark
