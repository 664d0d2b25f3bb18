#pragma once

#include <string>
#include <vector>

#include "core/repo/repository.hpp"
#include "core/report/drill_facts.hpp"

namespace ark {

/// The evidence of one test ("latest": the one that began last), and what the repository has beside
/// it: evidence of other restore tests and the backups. `test_id` may be its first characters.
/// `unread`: names of what could not be read, which hides nothing else.
/// Error: not_found; invalid_argument where several tests begin so, or it is a verification.
DrillSources read_drill(Repository& repository, const std::string& cluster,
                        const std::string& test_id, std::vector<std::string>& unread);

}  // namespace ark
