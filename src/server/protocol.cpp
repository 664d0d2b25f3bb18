#include "server/protocol.hpp"

extern "C" {
#include "mb/pg_wchar.h"
}

namespace ark {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

[[noreturn]] void violation(const char* what, const char* value) {
    ereport(ERROR,
            (errcode(ERRCODE_PROTOCOL_VIOLATION),
             errmsg("pg_ark sent a message that is not of the protocol's form"),
             errdetail("%s: \"%.80s\".", what, value),
             errhint("Compare the versions: pg_ark version, and SELECT * FROM ark.preflight().")));
    pg_unreachable();
}

bool is_name(const char* s) {
    return s[0] != '\0' && strspn(s, "abcdefghijklmnopqrstuvwxyz_") == strlen(s);
}

int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Text of the child ends in messages, rows and terminals: nothing in it may be invalid there.
void make_presentable(char* text, int length) {
    const bool valid = pg_verify_mbstr(GetDatabaseEncoding(), text, length, /* noError */ true);
    for (int i = 0; i < length; i++) {
        const unsigned char c = static_cast<unsigned char>(text[i]);
        const bool control = (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
        if (control || (c >= 0x80 && !valid))
            text[i] = '?';
    }
}

}  // namespace

void message_begin(StringInfo buffer, const char* verb) {
    appendStringInfoString(buffer, verb);
}

void message_number(StringInfo buffer, const char* key, uint64 value) {
    appendStringInfo(buffer, " %s=" UINT64_FORMAT, key, value);
}

void message_lsn(StringInfo buffer, const char* key, XLogRecPtr value) {
    // LSN_FORMAT_ARGS is C only.
    appendStringInfo(buffer, " %s=%X/%X", key, static_cast<uint32>(value >> 32),
                     static_cast<uint32>(value));
}

void message_token(StringInfo buffer, const char* key, const char* value) {
    if (value != nullptr)
        appendStringInfo(buffer, " %s=%s", key, value);
}

void message_text(StringInfo buffer, const char* key, const char* value) {
    if (value != nullptr)
        message_bytes(buffer, key, value, strlen(value));
}

void message_bytes(StringInfo buffer, const char* key, const void* data, size_t length) {
    const auto* bytes = static_cast<const unsigned char*>(data);
    appendStringInfo(buffer, " %s=", key);
    enlargeStringInfo(buffer, static_cast<int>(length) * 2);
    for (size_t i = 0; i < length; i++) {
        appendStringInfoCharMacro(buffer, kHexDigits[bytes[i] >> 4]);
        appendStringInfoCharMacro(buffer, kHexDigits[bytes[i] & 15]);
    }
}

void message_end(StringInfo buffer) {
    appendStringInfoChar(buffer, '\n');
}

Message parse_message(const char* line) {
    Message message = {};
    char* at = pstrdup(line);
    message.verb = at;
    at = strchr(at, ' ');
    while (at != nullptr) {
        *at++ = '\0';
        char* pair = at;
        at = strchr(at, ' ');
        char* equals = strchr(pair, '=');
        if (equals == nullptr || (at != nullptr && equals > at))
            violation("a key without a value", pair);
        if (message.pairs == Message::kMaxPairs)
            violation("too many keys", line);
        *equals = '\0';
        if (!is_name(pair))
            violation("not a key", pair);
        message.keys[message.pairs] = pair;
        message.values[message.pairs++] = equals + 1;
    }
    if (!is_name(message.verb))
        violation("not a verb", message.verb);
    return message;
}

bool message_is(const Message& message, const char* verb) {
    return strcmp(message.verb, verb) == 0;
}

const char* get_token(const Message& message, const char* key) {
    for (int i = 0; i < message.pairs; i++) {
        if (strcmp(message.keys[i], key) == 0)
            return message.values[i];
    }
    return nullptr;
}

bool has_key(const Message& message, const char* key) {
    return get_token(message, key) != nullptr;
}

uint64 get_number(const Message& message, const char* key) {
    const char* value = get_token(message, key);
    if (value == nullptr)
        return 0;
    constexpr size_t kMostDigits = 20;
    const size_t length = strlen(value);
    if (length == 0 || length > kMostDigits || strspn(value, "0123456789") != length)
        violation("not a number", value);
    return strtou64(value, nullptr, 10);
}

XLogRecPtr get_lsn(const Message& message, const char* key) {
    const char* value = get_token(message, key);
    if (value == nullptr)
        return InvalidXLogRecPtr;
    constexpr size_t kMostDigits = 8;
    constexpr char kDigits[] = "0123456789ABCDEFabcdef";
    const size_t high = strspn(value, kDigits);
    const size_t low = value[high] == '/' ? strspn(value + high + 1, kDigits) : 0;
    if (high == 0 || high > kMostDigits || low == 0 || low > kMostDigits ||
        value[high + 1 + low] != '\0')
        violation("not an LSN", value);
    return static_cast<XLogRecPtr>(strtoul(value, nullptr, 16)) << 32 |
           strtoul(value + high + 1, nullptr, 16);
}

char* get_text(const Message& message, const char* key) {
    const char* hex = get_token(message, key);
    if (hex == nullptr)
        return nullptr;
    const size_t digits = strlen(hex);
    if (digits % 2 != 0)
        violation("an odd number of hexadecimal digits", hex);
    const int length = static_cast<int>(digits / 2);
    char* text = static_cast<char*>(palloc(length + 1));
    for (int i = 0; i < length; i++) {
        const int high = hex_digit(*hex++);
        const int low = hex_digit(*hex++);
        if (high < 0 || low < 0)
            violation("not hexadecimal", hex);
        const int byte = high * 16 + low;
        text[i] = byte == 0 ? '?' : static_cast<char>(byte);
    }
    text[length] = '\0';
    make_presentable(text, length);
    return text;
}

}  // namespace ark
