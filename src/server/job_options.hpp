#pragma once
/// p_options: a JSON object whose keys each function knows for itself.
#include "server/jobs.hpp"

extern "C" {
#include "nodes/pg_list.h"
#include "utils/jsonb.h"
}

namespace ark {

/// Takes one option; false: there is no such option.
using OptionTaker = bool (*)(void* target, const char* key, const JsonbValue& value);

/// Gives each option to `take`. Throws ERRCODE_INVALID_PARAMETER_VALUE, with `known` as its hint,
/// where p_options is no object or has an unknown key. NULL: none.
void take_options(Jsonb* options, const char* known, OptionTaker take, void* target);

/// The value as such a thing; throws ERRCODE_INVALID_PARAMETER_VALUE where it is another.
int integer_option(const char* key, const JsonbValue& value, int max);
uint64 whole_number_option(const char* key, const JsonbValue& value, uint64 max);
/// From 0 to 1.
double fraction_option(const char* key, const JsonbValue& value);
bool boolean_option(const char* key, const JsonbValue& value);
void uuid_option(const char* key, const JsonbValue& value, char (&to)[kUuidSize]);
/// At most `size` - 1 bytes, copied to `to`.
void text_option(const char* key, const JsonbValue& value, char* to, size_t size);
/// Palloc'd; not empty.
char* any_text_option(const char* key, const JsonbValue& value);
/// List of char*: what an array of texts has.
List* texts_option(const char* key, const JsonbValue& value);

}  // namespace ark
