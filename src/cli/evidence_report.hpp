#pragma once

#include "core/repo/evidence.hpp"
#include "core/repo/repository.hpp"

namespace ark {

/// The findings and notes of a verification or a restore test, for people, on standard output. Text
/// of files' names may be anything: it goes out as it is, like ls's.
void print_findings(const Evidence& evidence);

/// Stores the evidence beside the backup; not where the repository's past is read, which nothing is
/// added to. Where that fails the answer counts all the same, and a warning says so.
void store_or_warn(Repository& repository, const Evidence& evidence);

}  // namespace ark
