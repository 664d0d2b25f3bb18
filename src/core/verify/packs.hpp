#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/verify/context.hpp"

namespace ark {

/// What is wrong with packs, by their numbers.
using BadPacks = std::map<uint32_t, Finding>;

/// The numbers of the packs that are fresh (core/verify/freshness.hpp): they are there, and need
/// not be read again.
std::set<uint32_t> fresh_packs(const VerifyContext& context);

/// Reads the stored bytes of each pack that is not among `fresh`: that it is there, in its place,
/// as long as the marker says, and with the SHA-256 that the marker has. What is wrong is returned,
/// not reported yet: the files in it are to be added.
BadPacks check_packs(VerifyContext& context, const std::set<uint32_t>& fresh = {});

struct FilesRead {
    uint64_t files = 0;  ///< whole
    uint64_t bytes = 0;  ///< of content
};

/// Reads each file of the index out of the packs but the fresh ones and compares it with the index;
/// names the damaged ones, and the packs that `bad` or they say are. pg_control must be of the
/// backup's cluster. A damaged index is reported; files before the damage have been read then.
FilesRead check_files(VerifyContext& context, const BadPacks& bad, const std::set<uint32_t>& fresh);

}  // namespace ark
