#pragma once

#include <functional>
#include <optional>
#include <string>

#include "core/archive/push.hpp"
#include "core/archive/tail.hpp"
#include "core/repo/repository.hpp"

namespace ark {

/// What the repository has in pieces of a segment, and, where they reach its end, of those behind
/// it: while commits wait, the pieces of a segment may begin before the whole of the one before is
/// there. Streaming goes on behind all of them. `flushed`: how far the server's own WAL reaches. A
/// last piece that can't be read is removed (`warn` hears of it): nobody has anything from it, and
/// its name is in the way of the same bytes, which the server still has. So is one that others
/// follow where they prove that it was there: recovery never takes its place for the end. The chain
/// ends before a piece that was lost, too, which is written anew (`warn` hears of it). Error:
/// conflict where the pieces reach further than the server, and what read_tail_to_mend throws.
std::optional<TailChain> adopt_tail(Repository& repository, const PushTarget& target,
                                    WalSegment segment, Lsn flushed,
                                    const std::function<void(const Error&)>& warn);

/// Error: conflict, naming both writers: the repository has the whole of a segment that the server
/// has not finished.
[[noreturn]] void refuse_whole(Repository& repository, const PushTarget& target,
                               const std::string& segment, Lsn flushed);

/// Removes the pieces of a timeline's segments before `before` whose wholes are in the repository.
/// Error: as remove_tail, and what the store throws when it is asked which there are.
void remove_old_tails(Repository& repository, const PushTarget& target, WalSegment before);

}  // namespace ark
