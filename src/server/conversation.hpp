#pragma once
/// What every role of the executable has in common: the opening, requests with a deadline, and its
/// errors and warnings, which become PostgreSQL's own.
#include "server/child.hpp"
#include "server/protocol.hpp"
#include "server/shared.hpp"

extern "C" {
#include "datatype/timestamp.h"
}

namespace ark {

/// What differs between one opening and the next. 0: as the setting says.
struct OpenOptions {
    /// Make the repository where its place is empty, unless this server has used one there.
    bool create;
    int jobs;
    int compression_level;
    int retry_timeout;  ///< seconds
    bool without_key;   ///< open it also where the encryption key can't be had: to check alone
};

/// What the child said of itself and of the repository; palloc'd.
struct Opened {
    char* program_version;
    char* repository_id;
};

/// What an `error` or `warning` of the child says; its sqlstate is never 0.
JobError error_in(const Message& message);

/// Whether an `error` says that another server has written where this one writes: `code` says so,
/// or what an executable without it says to do.
bool says_conflict(const Message& message);

/// Waits for the next message until `deadline`. A `warning` of the child is logged and not
/// returned. An `error` is thrown with the child's SQLSTATE, message, detail and hint. Throws
/// ERRCODE_CONNECTION_FAILURE where the child has gone (child->ended is set then), ERRCODE_IO_ERROR
/// where the deadline has passed. The child is still the caller's to stop.
Message receive(Child* child, TimestampTz deadline);

/// receive, and throws ERRCODE_PROTOCOL_VIOLATION where the verb is another one.
Message receive_verb(Child* child, const char* verb, TimestampTz deadline);

/// Hello, settings, cluster, open. Throws what receive throws.
Opened open_repository(Child* child, const OpenOptions& options, TimestampTz deadline);

/// Says hello alone and returns the executable's version: for checks where the repository may be
/// out of reach.
char* greet(Child* child, TimestampTz deadline);
/// The rest of the opening after greet. May be repeated after an error, except with server-backup.
char* open_after_greeting(Child* child, const OpenOptions& options, TimestampTz deadline);

/// The whole opening at once, for who does not wait for answers: `hello` and `opened` (or an
/// `error`) come later, and the next two are for them. Both throw as greet and open_after_greeting
/// do.
void send_opening(Child* child, const OpenOptions& options);
char* check_hello(const Message& hello);  ///< the executable's version
void check_opened(const Message& opened);

TimestampTz deadline_in_ms(int64 ms);

}  // namespace ark
