#pragma once

#include <cstdint>

#include "core/verify/context.hpp"

namespace ark {

/// Reads the manifest: its digest in the marker, its own checksum, its WAL range against the
/// marker, and each of its files against the index (path, size, CRC-32C, whatever their order)
/// unless that is known to be damaged. Reports what is wrong; memory stays constant.
void check_manifest(VerifyContext& context, bool index_is_whole);

}  // namespace ark
