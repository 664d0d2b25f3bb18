#pragma once
/// Messages between the module and the executable: docs/child-protocol.md. Form only; what is said
/// when is in conversation.hpp and its users.
#include "server/pg_version.hpp"

extern "C" {
#include "access/xlogdefs.h"
#include "lib/stringinfo.h"
}

namespace ark {

inline constexpr int kProtocolVersion = 1;
/// A message with its newline is never longer; a longer one from the child is a protocol violation.
inline constexpr int kMaxLine = 1024 * 1024;

/// One received message. Verb, keys and values point into a palloc'd copy of the line.
struct Message {
    static constexpr int kMaxPairs = 32;
    const char* verb;
    int pairs;
    const char* keys[kMaxPairs];
    const char* values[kMaxPairs];
};

/// Begins a message in `buffer` (appends: several messages may follow each other).
void message_begin(StringInfo buffer, const char* verb);
void message_number(StringInfo buffer, const char* key, uint64 value);
void message_lsn(StringInfo buffer, const char* key, XLogRecPtr value);
/// `value`: letters, digits, "_.-:" only; NULL leaves the key out.
void message_token(StringInfo buffer, const char* key, const char* value);
/// Any bytes; NULL leaves the key out.
void message_text(StringInfo buffer, const char* key, const char* value);
void message_bytes(StringInfo buffer, const char* key, const void* data, size_t length);
void message_end(StringInfo buffer);

/// Takes a line (without newline) apart, in the current memory context. Throws
/// ERRCODE_PROTOCOL_VIOLATION where it is not of the protocol's form.
Message parse_message(const char* line);

bool message_is(const Message& message, const char* verb);
/// Value as it came (a token); NULL where the key is missing.
const char* get_token(const Message& message, const char* key);
/// 0 where the key is missing; `has_key` tells. Throws where it is not a decimal number.
uint64 get_number(const Message& message, const char* key);
/// Invalid where the key is missing. Throws where it is not of the form 0/2000028.
XLogRecPtr get_lsn(const Message& message, const char* key);
bool has_key(const Message& message, const char* key);
/// Decoded text, fit for messages and tables of this database: bytes that are not valid in the
/// server's encoding, and control characters but newline and tab, come as "?". NULL where the key
/// is missing.
char* get_text(const Message& message, const char* key);

}  // namespace ark
