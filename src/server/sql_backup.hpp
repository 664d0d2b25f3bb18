#pragma once
#include "server/jobs.hpp"

namespace ark {

/// What (p_type text, p_reason text, p_options jsonb), the first three arguments of a call, ask
/// for.
JobRequest* request_from_arguments(FunctionCallInfo fcinfo);

}  // namespace ark
