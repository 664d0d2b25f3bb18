#pragma once

namespace ark {

/// Notices calls that PostgreSQL refuses for want of a right, before any code of pg_ark is reached.
/// Once, from _PG_init of the postmaster.
void watch_refusals();

}  // namespace ark
