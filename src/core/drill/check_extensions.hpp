#pragma once

#include <optional>
#include <string>

#include "core/drill/database_check.hpp"

namespace ark {

/// Puts amcheck and pg_visibility into a schema of the test's own in this database of the copy, and
/// lets the context's reader call them: in a schema of the source somebody may have put functions
/// of the same names beside them. What failed, or nullopt. Error: not_found where this host has not
/// got them.
std::optional<SqlResult> make_check_functions(const CheckContext& context, TaskPool& pool,
                                              const std::string& database);

}  // namespace ark
