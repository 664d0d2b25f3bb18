#pragma once

#include <optional>
#include <string>

#include "core/drill/database_check.hpp"

namespace ark {

/// Puts amcheck into a schema of the test's own in this database of the copy, and lets the
/// context's reader call it: in a schema of the source somebody may have put functions of the same
/// names beside its. What failed, or nullopt. Error: not_found where this host has not got it.
std::optional<SqlResult> make_check_functions(const CheckContext& context, TaskPool& pool,
                                              const std::string& database);

}  // namespace ark
