#include "server/drill_options.hpp"

#include <initializer_list>

#include "server/job_options.hpp"

extern "C" {
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

constexpr int kMostJobs = 64;

}  // namespace

bool take_test_option(void* target, const char* key, const JsonbValue& value) {
    auto* request = static_cast<JobRequest*>(target);
    if (strcmp(key, "jobs") == 0)
        request->jobs = integer_option(key, value, kMostJobs);
    else if (strcmp(key, "tested_by") == 0)
        uuid_option(key, value, request->created_by);
    else if (strcmp(key, "notes") == 0)
        text_option(key, value, request->reason, sizeof(request->reason));
    else
        return false;
    return true;
}

namespace {

// As core/drill/drill_steps.cpp has them.
constexpr const char* kSteps[] = {"objects",     "files",     "pages",        "catalog",
                                  "amcheck",     "rows",      "foreign_keys", "constraints",
                                  "unique_keys", "sequences", "checks",       "critical_functions",
                                  "census"};

const char* all_steps() {
    StringInfoData names;
    initStringInfo(&names);
    for (const char* step : kSteps)
        appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", step);
    return names.data;
}

void require_step(const char* name) {
    for (const char* step : kSteps) {
        if (strcmp(step, name) == 0)
            return;
    }
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("unknown check \"%s\" in option \"checks\" of p_options", name),
                    errhint("The checks are %s.", all_steps())));
}

// ["a", "b"], as "a,b".
void steps_option(const JsonbValue& value, char (&to)[kStepsSize]) {
    StringInfoData names;
    initStringInfo(&names);
    bool good = value.type == jbvBinary && JsonContainerIsArray(value.val.binary.data);
    if (good) {
        JsonbIterator* iterator = JsonbIteratorInit(value.val.binary.data);
        JsonbValue element;
        for (JsonbIteratorToken token;
             (token = JsonbIteratorNext(&iterator, &element, true)) != WJB_DONE;) {
            if (token != WJB_ELEM)
                continue;
            good &= element.type == jbvString;
            if (!good)
                break;
            const char* name = pnstrdup(element.val.string.val, element.val.string.len);
            require_step(name);
            appendStringInfo(&names, "%s%s", names.len > 0 ? "," : "", name);
        }
    }
    if (!good || names.len == 0 || names.len >= kStepsSize)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("invalid value for option \"checks\" of p_options"),
                        errhint("It is an array of names: %s.", all_steps())));
    strlcpy(to, names.data, kStepsSize);
}

bool take_drill_option(void* target, const char* key, const JsonbValue& value) {
    constexpr uint64 kMostSeed = PG_UINT32_MAX;  // of those that are drawn
    auto* request = static_cast<JobRequest*>(target);
    if (strcmp(key, "seed") == 0)
        request->seed = whole_number_option(key, value, kMostSeed);
    else if (strcmp(key, "checks") == 0)
        steps_option(value, request->steps);
    else
        return take_test_option(target, key, value);
    return true;
}

}  // namespace

void take_drill_target(JobRequest* request, const char* text) {
    if (text == nullptr)
        ereport(ERROR,
                (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("p_target must not be null"),
                 errhint("It is consistency, latest, random, or a time.")));
    strlcpy(request->asked, text, sizeof(request->asked));
    for (const char* word : {"consistency", "latest", "random"}) {
        if (strcmp(text, word) == 0) {
            strlcpy(request->target, word, sizeof(request->target));
            return;
        }
    }
    const TimestampTz time = DatumGetTimestampTz(DirectFunctionCall3(
        timestamptz_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
    constexpr int64 kEpochs = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
    if (TIMESTAMP_NOT_FINITE(time) || time <= -kEpochs)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid target \"%s\"", text),
                 errhint("It is consistency, latest, random, or a time.")));
    if (time > GetCurrentTimestamp())
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("target time \"%s\" is in the future", text),
                        errhint("Use 'latest' to recover all there is.")));
    strlcpy(request->target, "time", sizeof(request->target));
    request->target_time = static_cast<uint64>(time + kEpochs);
}

void take_drill_options(JobRequest* request, Jsonb* options) {
    take_options(options, "The options are tested_by, jobs, notes, seed and checks.",
                 take_drill_option, request);
    if (request->seed != 0 && strcmp(request->target, "random") != 0)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("option \"seed\" belongs to the target \"random\"")));
}

}  // namespace ark
