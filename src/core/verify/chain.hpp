#pragma once

#include <string>
#include <vector>

#include "core/verify/context.hpp"

namespace ark {

/// Looks at the backups that the verified one builds on: that their markers are there and fit, and
/// that each file of which a backup has the changed blocks alone is in those below it, down to a
/// whole one. Their packs are not read. Reports damage; returns their ids, newest first. Where its
/// own index is damaged, which has been said, the files are left out; and where it and those below
/// are fresh for this very backup.
std::vector<std::string> check_chain(VerifyContext& context, bool index_is_whole);

}  // namespace ark
