#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "core/base/bytes.hpp"

namespace ark {

/// Another segment, by its number; nullopt where there is none.
using SegmentFetch = std::function<std::optional<Bytes>(uint64_t number)>;

/// Takes the path out of every CREATE TABLESPACE record that lies in this segment or reaches into
/// it, and gives the record its new checksum. The server (15 and newer) then makes the tablespace
/// in place, below the data directory's pg_tblspc, and touches nothing else; it needs
/// allow_in_place_tablespaces for that. The same record comes out the same in each of two segments
/// that it spans. `fetch` is asked for the neighbours only where such a record may go on in them.
/// Returns how many records were changed. Error: what `fetch` throws.
size_t contain_tablespaces(Bytes& segment, uint64_t number, const SegmentFetch& fetch);

}  // namespace ark
