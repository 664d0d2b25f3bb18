#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/archive/fetch_context.hpp"
#include "core/base/bytes.hpp"
#include "core/pgdata/wal_name.hpp"

namespace ark {

/// A segment as the server wants it: exactly a segment's size, digest and first page checked.
///
/// Where the target's history leaves the segment's timeline inside the segment, bytes from there on
/// are zero: they were written by a server that was left behind, and replaying them would bring
/// back what it did after the fork. A segment that lies behind the fork is not there. Where the
/// complete segment is missing but holds the fork, a .partial that reaches the fork takes its
/// place.
///
/// nullopt only when the store has said that it is not there. Error: corrupt for damage (also in
/// every .partial that could serve), conflict for .partial objects that differ before the fork;
/// what the store throws. Thread-safe as the repository is.
std::optional<Bytes> fetch_segment(const FetchContext& context, const std::string& name);

/// A timeline's history file, exact bytes, in which every line was read. nullopt and errors as
/// above.
std::optional<Bytes> fetch_history(const FetchContext& context, TimelineId timeline);

/// The .partial of this name ("<segment>.partial") with the most valid WAL.
std::optional<Bytes> fetch_partial(const FetchContext& context, const std::string& name);

}  // namespace ark
