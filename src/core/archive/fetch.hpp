#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/archive/fetch_context.hpp"
#include "core/base/bytes.hpp"
#include "core/pgdata/wal_name.hpp"

namespace ark {

/// A segment as the server wants it: exactly a segment's size, digest and first page checked.
struct FetchedSegment {
    Bytes bytes;
    /// Where what is there of it ends, and zeros follow: at the end of its pieces, or at the fork
    /// where the way leaves its timeline. nullopt where that isn't inside the segment.
    std::optional<Lsn> end;
};

/// The whole segment is not there, nor do its pieces reach its end, and yet later WAL is there. A
/// running server stores whole segments out of order, so it may pass (`retryable`); where it stays,
/// recovery must not end here. Its code is corrupt.
struct SegmentHole : Error {
    using Error::Error;
};

/// Where the target's history leaves the segment's timeline inside the segment, bytes from there on
/// are zero: they were written by a server that was left behind, and replaying them would bring
/// back what it did after the fork. A segment that lies behind the fork is not there. Where the
/// complete segment is missing but holds the fork, pieces or a .partial that reach the fork take
/// its place.
///
/// Where only pieces are there (archive/tail.hpp) they count as the segment, followed by zeros:
/// that is how the newest WAL looks. On the way into a timeline they don't count where they end
/// before the fork: an ancestor's segment has more then.
///
/// nullopt only when the store has said that it is not there. Error: SegmentHole; corrupt for
/// damage (also in every .partial that could serve; of pieces it may pass, `retryable`), conflict
/// for .partial objects that differ before the fork; what the store throws. Thread-safe as the
/// repository is.
std::optional<FetchedSegment> fetch_segment_and_end(const FetchContext& context,
                                                    const std::string& name);

/// Its bytes alone.
std::optional<Bytes> fetch_segment(const FetchContext& context, const std::string& name);

/// A timeline's history file, exact bytes, in which every line was read. nullopt and errors as
/// above.
std::optional<Bytes> fetch_history(const FetchContext& context, TimelineId timeline);

/// The .partial of this name ("<segment>.partial") with the most valid WAL.
std::optional<Bytes> fetch_partial(const FetchContext& context, const std::string& name);

}  // namespace ark
