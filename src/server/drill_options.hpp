#pragma once
#include "server/jobs.hpp"

extern "C" {
#include "utils/jsonb.h"
}

namespace ark {

/// Options that all tests have (tested_by, jobs, notes), for take_options; `target` is a
/// JobRequest.
bool take_test_option(void* target, const char* key, const JsonbValue& value);

/// The target of a drill: a word, or a time as the session reads it; NULL is an error.
void take_drill_target(JobRequest* request, const char* text);

/// The options of a drill (NULL: none), after its target.
void take_drill_options(JobRequest* request, Jsonb* options);

}  // namespace ark
