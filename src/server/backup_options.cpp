#include "server/backup_options.hpp"

#include "server/job_options.hpp"

namespace ark {
namespace {

constexpr char kKnownKeys[] =
    "The options are created_by, jobs, compression_level and "
    "audit_fraction.";

bool take(void* target, const char* key, const JsonbValue& value) {
    constexpr int kMostJobs = 64;
    constexpr int kHighestLevel = 19;
    auto* request = static_cast<JobRequest*>(target);
    if (strcmp(key, "jobs") == 0)
        request->jobs = integer_option(key, value, kMostJobs);
    else if (strcmp(key, "compression_level") == 0)
        request->compression_level = integer_option(key, value, kHighestLevel);
    else if (strcmp(key, "audit_fraction") == 0)
        request->audit_fraction = fraction_option(key, value);
    else if (strcmp(key, "created_by") == 0)
        uuid_option(key, value, request->created_by);
    else
        return false;
    return true;
}

}  // namespace

void apply_options(JobRequest* request, Jsonb* options) {
    take_options(options, kKnownKeys, take, request);
}

void check_backup_type(const char* type) {
    constexpr char kHint[] = "Use \"full\", \"incremental\" or \"differential\".";
    if (type == nullptr)
        ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("p_type must not be null"),
                        errhint("%s", kHint)));
    if (strcmp(type, "full") != 0 && strcmp(type, "incremental") != 0 &&
        strcmp(type, "differential") != 0)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("unknown backup type \"%s\"", type), errhint("%s", kHint)));
}

}  // namespace ark
