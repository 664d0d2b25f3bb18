#pragma once

#include "cli/child/opening.hpp"
#include "core/store/store_check.hpp"

namespace ark {

/// For preflight(): whether what this server writes is encrypted, and for a key that somebody has.
/// The conversation was opened without_key, so that there is something to tell where the key can't
/// be had. Never throws Error: what cannot be found out is a finding, too.
StoreFinding check_encryption(const Opening& opening);

}  // namespace ark
