#include "server/backup_options.hpp"

#include <cctype>

extern "C" {
#include "utils/builtins.h"
#include "utils/numeric.h"
#include "utils/uuid.h"
}

namespace ark {
namespace {

constexpr char kKnownKeys[] = "The options are created_by, jobs and compression_level.";

[[noreturn]] void bad_value(const char* key, const char* expected) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("invalid value for option \"%s\" of p_options", key),
                    errhint("It is %s.", expected)));
    pg_unreachable();
}

int integer_option(const char* key, const JsonbValue& value, int max) {
    const char* expected = psprintf("a whole number from 1 to %d", max);
    if (value.type != jbvNumeric)
        bad_value(key, expected);
    const char* digits =
        DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value.val.numeric)));
    const size_t length = strlen(digits);
    if (strspn(digits, "0123456789") != length || length > 4)
        bad_value(key, expected);
    const int number = atoi(digits);
    if (number < 1 || number > max)
        bad_value(key, expected);
    return number;
}

bool looks_like_uuid(const char* text) {
    if (strlen(text) != 36)
        return false;
    for (int i = 0; i < 36; i++) {
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : !isxdigit(static_cast<unsigned char>(text[i])))
            return false;
    }
    return true;
}

void apply(JobRequest* request, const char* key, const JsonbValue& value) {
    constexpr int kMostJobs = 64;
    constexpr int kHighestLevel = 19;
    if (strcmp(key, "jobs") == 0) {
        request->jobs = integer_option(key, value, kMostJobs);
    } else if (strcmp(key, "compression_level") == 0) {
        request->compression_level = integer_option(key, value, kHighestLevel);
    } else if (strcmp(key, "created_by") == 0) {
        const char* text =
            value.type == jbvString ? pnstrdup(value.val.string.val, value.val.string.len) : "";
        if (!looks_like_uuid(text))
            bad_value(key, "a UUID");
        strlcpy(request->created_by, text, sizeof(request->created_by));
    } else {
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("unknown option \"%s\" in p_options", key), errhint(kKnownKeys)));
    }
}

}  // namespace

void apply_options(JobRequest* request, Jsonb* options) {
    if (options == nullptr)
        return;
    if (!JB_ROOT_IS_OBJECT(options))
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("p_options must be a JSON object"), errhint(kKnownKeys)));
    JsonbIterator* iterator = JsonbIteratorInit(&options->root);
    JsonbValue value;
    const char* key = nullptr;
    for (;;) {
        const JsonbIteratorToken token = JsonbIteratorNext(&iterator, &value, true);
        if (token == WJB_DONE)
            return;
        if (token == WJB_KEY)
            key = pnstrdup(value.val.string.val, value.val.string.len);
        else if (token == WJB_VALUE)
            apply(request, key, value);
    }
}

void check_backup_type(const char* type) {
    if (type == nullptr)
        ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("p_type must not be null"),
                        errhint("Use 'full'.")));
    if (strcmp(type, "full") == 0)
        return;
    if (strcmp(type, "incremental") == 0 || strcmp(type, "differential") == 0)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("%s backups are not supported by this version", type),
                        errhint("Take a full one: ark.start_backup('full', ...).")));
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown backup type \"%s\"", type),
             errhint("The only type that this version takes is \"full\".")));
}

}  // namespace ark
