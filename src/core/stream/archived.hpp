#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/archive/push.hpp"
#include "core/pgdata/timeline_history.hpp"
#include "core/repo/repository.hpp"
#include "core/stream/whole_segments.hpp"

namespace ark {

/// The segments of a server whose archiver stores them: what waits in its pg_wal, and what the
/// repository has. Nothing is ever written to pg_wal. Thread-safe, but for is_durable.
class Archived final : public WholeSegments {
 public:
    /// The repository, whose store the target names, outlives it.
    Archived(Repository& repository, PushTarget target, std::string data_directory,
             TimelineId timeline);

    /// What waits for the archiver of segments before `before`, of any timeline.
    struct Waiting {
        uint64_t count = 0;
        uint64_t first = 0;  ///< number of the lowest; where none waits, of the one with `before`
    };
    Waiting waiting(Lsn before) const;

    /// By the archiver's mark and then by asking the store.
    bool is_durable(uint64_t number) override;

    /// Whether the repository has the whole of it. One request.
    bool is_stored(const std::string& segment);

    /// Stores the segment from pg_wal, if it is there and complete; false otherwise. Error:
    /// conflict and the store's.
    bool push(const std::string& segment);

 private:
    bool archiver_is_done(const std::string& segment) const;
    std::string wal_path(const std::string& file) const;

    Repository& repository_;
    const PushTarget target_;
    const std::string data_directory_;
    const TimelineId timeline_;
};

}  // namespace ark
