#pragma once
/// Asks one database: in a background worker of its own that logs in as the role of checks, which
/// can read everything and do nothing else. Each answer is a line of JSON
/// (docs/repository-format.md, "Answers"), told through a queue in shared memory.
#include "server/pg_version.hpp"

extern "C" {
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/shm_mq.h"
}

namespace ark {

/// At the beginning of the segment; then the queue; then name, query and timeout (ms) of each value
/// to record, in UTF-8, each with a zero byte.
struct AnswersOrder {
    char database[NAMEDATALEN];
    char role[NAMEDATALEN];
    bool shared;           ///< the catalogs that all databases share, too
    bool rows;             ///< tables and values, too
    bool reads_tables;     ///< else values alone
    uint64 most_bytes;     ///< of tables to read
    int timeout_ms;        ///< of all
    int values;            ///< how many there are
    volatile bool hurry;   ///< the backup waits: what has not begun is left out
    volatile uint64 read;  ///< bytes of tables
};

inline constexpr size_t kAnswersQueueSize = 1024 * 1024;
inline constexpr size_t kAnswersQueueOffset = MAXALIGN(sizeof(AnswersOrder));
inline constexpr size_t kAnswersTextOffset = kAnswersQueueOffset + kAnswersQueueSize;

void describe_answers_worker(BackgroundWorker* worker, dsm_handle order);

}  // namespace ark

extern "C" ARK_EXPORT void pg_ark_answers_main(Datum);
