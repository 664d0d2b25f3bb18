#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/archive/fetch_context.hpp"
#include "core/base/bytes.hpp"
#include "core/base/error.hpp"
#include "core/pgdata/wal_name.hpp"
#include "core/repo/object.hpp"

namespace ark {

/// The longest piece of a segment, in bytes of WAL.
constexpr uint64_t kMaxTailPiece = 16 << 20;
/// As an object: zstd's worst case adds less than a hundredth.
constexpr uint64_t kMaxStoredTailPiece = kMaxTailPiece + (kMaxTailPiece >> 6) + kMaxHeaderBytes;

/// So many pieces a writer has on their way at a time, at most.
constexpr size_t kTailPiecesOnTheWay = 4;

/// A piece that a host that only writes knows by its header: to be compared (has_content) with what
/// the server sends.
struct SealedPiece {
    uint64_t from = 0;    ///< where in the chain it begins
    uint64_t length = 0;  ///< in bytes of WAL
    ObjectHeader header;
};

/// What the pieces of one segment hold together (docs/repository-format.md "Tail").
struct TailChain {
    Bytes bytes;                      ///< from the segment's begin, without a gap
    uint64_t length = 0;              ///< of the chain: where it was read, of `bytes`
    std::vector<SealedPiece> sealed;  ///< in place of `bytes`, where they can't be read
    uint64_t segment_size = 0;    ///< as the first page says; 0: `bytes` are too short to say it
    bool complete = false;        ///< it reaches the segment's end
    Writer writer;                ///< of the last piece
    std::optional<Error> damage;  ///< of the piece behind it, which is the last and can't be read
    /// The piece behind it is not there, but was: a later one says that it was durable, or so many
    /// are behind it that no writer gets so far ahead of a piece that is not.
    bool is_torn_apart = false;
    /// Where a later piece says so: its header.
    std::optional<ObjectHeader> witness;
};

/// Reads the pieces of a segment, one after the other, until the store says that there is no next
/// one. nullopt where there is none that begins the segment; where that one is the only one and
/// can't be read, the chain is empty and has `damage`, where it was lost `is_torn_apart`. Error:
/// corrupt where the first page is not of this segment, where a piece reaches past its end, or
/// where a piece is damaged that another one follows; what the store throws.
///
/// Pieces are removed as soon as the whole segment is durable: a chain that ends early says
/// something only where the whole is looked for again afterwards (archive/fetch.hpp does).
std::optional<TailChain> read_tail(const FetchContext& context, const std::string& segment);

/// The same for who has the segment's WAL and writes anew what the pieces lack. A damaged piece
/// that others follow ends the chain, too, where one of them says that it was durable: the chain
/// has both `damage` and `is_torn_apart`. Without the damaged piece every reader is told the same.
///
/// A host that only writes gets the pieces' headers, in `sealed`. Of a piece that is encrypted it
/// is known then that all of its frames are there and are what their checksums say; `segment_size`
/// tells where the segment ends.
std::optional<TailChain> read_tail_to_mend(const FetchContext& context, const std::string& segment,
                                           uint64_t segment_size);

/// Removes all pieces of a segment, which is durable as a whole. Returns how many. Best effort:
/// what cannot be removed stays. Error: permission_denied where that is for want of the right.
uint64_t remove_tail(ObjectStore& store, const std::string& cluster, const std::string& segment);

}  // namespace ark
