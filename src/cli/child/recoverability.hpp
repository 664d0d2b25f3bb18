#pragma once

#include "cli/child/channel.hpp"
#include "cli/child/opening.hpp"

namespace ark {

/// The answers of server-catalog to `ranges`, `gaps` and `can_recover` (docs/child-protocol.md).
/// Error: what the store throws.
void send_ranges(Channel& channel, const Opening& opening, const Message& request);
void send_gaps(Channel& channel, const Opening& opening, const Message& request);
void send_recovery(Channel& channel, const Opening& opening, const Message& request);

}  // namespace ark
