#pragma once
#include "server/jobs.hpp"

extern "C" {
#include "utils/jsonb.h"
}

namespace ark {

/// Applies p_options of start_backup: created_by (uuid), jobs, compression_level,
/// audit_fraction. Throws ERRCODE_INVALID_PARAMETER_VALUE on an unknown key or a value that does
/// not fit. NULL: none.
void apply_options(JobRequest* request, Jsonb* options);

/// Throws unless p_type is full, incremental or differential.
void check_backup_type(const char* type);

}  // namespace ark
