#pragma once
/// One query of somebody else's, run where it can do no harm: in a background worker of its own
/// that logs in as a role without any right to write (so that there is no other role to go back
/// to), in a transaction that is READ ONLY and is rolled back, against the clock. What it finds it
/// tells through a queue in shared memory.
#include "server/pg_version.hpp"

extern "C" {
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/shm_mq.h"
}

namespace ark {

/// At the beginning of the segment; the queue and the query's text, in UTF-8, come after it.
struct CheckOrder {
    char database[NAMEDATALEN];
    char role[NAMEDATALEN];
    Oid owner;  ///< of the tables whose own code the query runs: it is run as him; or invalid
    int timeout_ms;
    int lock_timeout_ms;
    bool without_indexes;  ///< tables are read themselves: indexes are what is in doubt
    int rows;              ///< that many are told; the others are counted
    int row_bytes;         ///< a longer one is told in part; 0: as a whole
    uint64 bound;          ///< no more are counted
    size_t sql_length;
};

inline constexpr size_t kQueueSize = 64 * 1024;
inline constexpr size_t kQueueOffset = MAXALIGN(sizeof(CheckOrder));
inline constexpr size_t kSqlOffset = kQueueOffset + kQueueSize;

/// The first byte of a message. Text is UTF-8.
enum class CheckMessage : char {
    kStarted = 'S',  ///< the query begins
    kRow = 'R',      ///< one row, as JSON
    kDone = 'D',     ///< "<number of rows> <0, or 1: there are more>"
    kError = 'E',    ///< SQLSTATE, message, detail, hint, each with a zero byte
};

/// The worker of an order.
void describe_check_worker(BackgroundWorker* worker, dsm_handle order);

}  // namespace ark

extern "C" ARK_EXPORT void pg_ark_check_main(Datum);
