#pragma once
/// The WAL worker's child (`pg_ark server-stream`): what it is told, and what it says, which goes
/// to shared memory and, where it is trouble, to the log. All of it belongs to the worker's
/// process.
#include "server/shared.hpp"

extern "C" {
#include "datatype/timestamp.h"
}

namespace ark {

/// What the last look at the child came to.
enum class StreamChild {
    kRuns,
    kFailed,    ///< it has said that it cannot go on, or has gone
    kConflict,  ///< it has found another server's WAL where this one's belongs
};

/// Starts the child and opens the repository, which must have been used before. Throws what it
/// says, or ERRCODE_IO_ERROR where it does not answer; at once where `give_up` says so.
void stream_child_start(bool (*give_up)());
struct WalChild;
WalChild* stream_child();
/// Whether it was started with other settings than the present ones, or its program was replaced.
bool stream_child_is_outdated();
/// Waits at most `timeout_ms` for something to happen, takes in what it says. Never waits for the
/// child itself. Throws where it breaks the protocol.
StreamChild stream_child_look(long timeout_ms);
/// Tells it whether commits wait for it, where that has changed.
void stream_child_tell_mode();
/// Ends it; `hurry`: the server is shutting down.
void stream_child_stop(bool hurry);

/// Notes an error in shared memory and logs it, the same kind not more often than each
/// `interval_ms`.
void note_stream_error(const JobError& error, int interval_ms);

}  // namespace ark
