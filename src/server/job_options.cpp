#include "server/job_options.hpp"

#include <cctype>

extern "C" {
#include "utils/builtins.h"
#include "utils/numeric.h"
}

namespace ark {
namespace {

[[noreturn]] void bad_value(const char* key, const char* expected) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("invalid value for option \"%s\" of p_options", key),
                    errhint("It is %s.", expected)));
    pg_unreachable();
}

const char* text_of(const JsonbValue& value) {
    return value.type == jbvString ? pnstrdup(value.val.string.val, value.val.string.len) : "";
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

}  // namespace

uint64 whole_number_option(const char* key, const JsonbValue& value, uint64 max) {
    const char* expected = psprintf("a whole number from 1 to " UINT64_FORMAT, max);
    if (value.type != jbvNumeric)
        bad_value(key, expected);
    const char* digits =
        DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value.val.numeric)));
    const size_t length = strlen(digits);
    constexpr size_t kMostDigits = 18;  // no overflow
    if (strspn(digits, "0123456789") != length || length > kMostDigits)
        bad_value(key, expected);
    const uint64 number = strtou64(digits, nullptr, 10);
    if (number < 1 || number > max)
        bad_value(key, expected);
    return number;
}

int integer_option(const char* key, const JsonbValue& value, int max) {
    return static_cast<int>(whole_number_option(key, value, static_cast<uint64>(max)));
}

double fraction_option(const char* key, const JsonbValue& value) {
    constexpr char kExpected[] = "a number from 0 to 1";
    if (value.type != jbvNumeric)
        bad_value(key, kExpected);
    // Not through numeric_float8, which raises its own error for what is too large.
    const char* digits =
        DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value.val.numeric)));
    const double fraction = strtod(digits, nullptr);
    if (!(fraction >= 0 && fraction <= 1))
        bad_value(key, kExpected);
    return fraction;
}

bool boolean_option(const char* key, const JsonbValue& value) {
    if (value.type != jbvBool)
        bad_value(key, "true or false");
    return value.val.boolean;
}

void uuid_option(const char* key, const JsonbValue& value, char (&to)[kUuidSize]) {
    const char* text = text_of(value);
    if (!looks_like_uuid(text))
        bad_value(key, "a UUID");
    strlcpy(to, text, kUuidSize);
}

void text_option(const char* key, const JsonbValue& value, char* to, size_t size) {
    const char* text = text_of(value);
    if (value.type != jbvString || strlen(text) >= size)
        bad_value(key, psprintf("a text of at most %zu bytes", size - 1));
    strlcpy(to, text, size);
}

char* any_text_option(const char* key, const JsonbValue& value) {
    if (value.type != jbvString || value.val.string.len == 0)
        bad_value(key, "a text");
    return pnstrdup(value.val.string.val, value.val.string.len);
}

List* texts_option(const char* key, const JsonbValue& value) {
    constexpr char kExpected[] = "an array of texts";
    List* texts = NIL;
    if (value.type != jbvBinary || !JsonContainerIsArray(value.val.binary.data))
        bad_value(key, kExpected);
    JsonbIterator* iterator = JsonbIteratorInit(value.val.binary.data);
    JsonbValue element;
    for (;;) {
        const JsonbIteratorToken token = JsonbIteratorNext(&iterator, &element, true);
        if (token == WJB_DONE)
            return texts;
        if (token != WJB_ELEM)
            continue;
        if (element.type != jbvString)
            bad_value(key, kExpected);
        texts = lappend(texts, pnstrdup(element.val.string.val, element.val.string.len));
    }
}

void take_options(Jsonb* options, const char* known, OptionTaker take, void* target) {
    if (options == nullptr)
        return;
    if (!JB_ROOT_IS_OBJECT(options))
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("p_options must be a JSON object"), errhint("%s", known)));
    JsonbIterator* iterator = JsonbIteratorInit(&options->root);
    JsonbValue value;
    const char* key = nullptr;
    for (;;) {
        const JsonbIteratorToken token = JsonbIteratorNext(&iterator, &value, true);
        if (token == WJB_DONE)
            return;
        if (token == WJB_KEY)
            key = pnstrdup(value.val.string.val, value.val.string.len);
        else if (token == WJB_VALUE && !take(target, key, value))
            ereport(ERROR,
                    (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                     errmsg("unknown option \"%s\" in p_options", key), errhint("%s", known)));
    }
}

}  // namespace ark
