#pragma once
/// The census of a backup: what tables there are, and how large, told to the child before the first
/// file is copied and after the backup's stop. A restore test holds the restored tables against it.
#include "server/child.hpp"

extern "C" ARK_EXPORT void pg_ark_census_main(Datum);

namespace ark {

/// Sends the child a `table` message for each persistent table of every database. A number means
/// something only in its own database: a short worker is connected to each. What cannot be told is
/// left out, with a line in the log: a backup is as good without. Throws only on cancel.
void send_census(Child* child);

}  // namespace ark
