#pragma once
/// A restored cluster is a clone until told otherwise: restore leaves a marker file in its data
/// directory, and as long as it is there nothing is written to the repository but the evidence of
/// tests, under names that nobody else has.
#include "server/pg_version.hpp"

namespace ark {

inline constexpr char kCloneMarker[] = "pg_wal/pg_ark.clone";

/// Whether the marker is there. Cheap (one access(2)); any process.
bool is_clone();
/// Removes the marker durably. Throws where it cannot.
void remove_clone_marker();
/// Logs that this is a clone, at most once a minute in this process.
void warn_about_clone(const char* consequence);

}  // namespace ark
