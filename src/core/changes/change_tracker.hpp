#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/changes/change_scan.hpp"
#include "core/changes/change_summary.hpp"
#include "core/changes/known_backups.hpp"
#include "core/changes/local_changes.hpp"
#include "core/changes/wal_places.hpp"

namespace ark {

struct TrackerSetup {
    Repository& repository;
    std::string cluster;
    std::string data_directory;
    uint64_t segment_size = 0;
    TimelineHistory way;  ///< to the server's timeline
    /// Segments along the way, from the repository (archive/wal_source.hpp has them).
    WalReader::SegmentFunction archived;
    Writer writer;
    uint64_t summary_bytes = 0;  ///< memory for what has changed since the newest backup
    /// More WAL than this is not read in the repository for one stretch that was missed.
    uint64_t most_archived_bytes = uint64_t{16} << 30;
    uint64_t most_local_bytes = uint64_t{1} << 30;
};

struct TrackerStatus {
    TimelineId timeline = 0;
    Lsn position = 0;       ///< WAL before it is in tables, or in the one that is being made
    Lsn stored = 0;         ///< WAL before it is in tables that are stored
    uint64_t tables = 0;    ///< stored
    uint64_t segments = 0;  ///< read
    uint64_t bytes = 0;     ///< of WAL
    uint64_t gaps = 0;
    std::string last_gap;  ///< where, and why
};

/// Follows a server's WAL and stores change tables of it (docs/incremental.md). It begins behind
/// the tables that there are, at the newest backup's start where there are none; reads pg_wal, and
/// for what has gone from there the repository. Keeps one table that is being made and one that is
/// to be stored: while the store is away nothing is read. One thread.
class ChangeTracker {
 public:
    /// `warn` hears of what is not as it should be, and goes on.
    ChangeTracker(TrackerSetup setup, std::function<void(const Error&)> warn);

    /// Looks which backups there are: whenever one may have ended. Error: what the store throws.
    void look_at_backups();

    /// The next tables have one segment each: a backup is about to begin, at a segment's begin.
    /// What changed before it is nothing to the next incremental one, and a host that cannot read
    /// the repository needs tables up to there.
    void cut() { cuts_ = kCuts; }

    /// Reads one segment at most, or stores what was finished. False: there is nothing to do until
    /// more than `flushed` is. Error: what the store throws; it can be called again.
    bool step(Lsn flushed);

    const TrackerStatus& status() const { return status_; }
    /// How much an incremental backup of the newest one would hold. nullopt: not known. It takes a
    /// moment.
    std::optional<ChangeCount> count() const;

 private:
    static constexpr int kCuts = 10;

    void start();
    void begin_scan();
    void read();
    bool is_record_to_come() const;
    void skip(Lsn from, Lsn to, const std::string& reason);
    void finish_table();
    void store_finished();
    void list_tables(Lsn from);
    void summarize();
    std::optional<RangeChanges> load(const ChangeRange& range);
    Lsn behind_flushed_segments() const;
    void prune();

    const TrackerSetup setup_;
    const std::function<void(const Error&)> warn_;
    WalPlaces places_;
    KnownBackups backups_;
    LocalChanges local_;
    ChangeSummary summary_;
    TrackerStatus status_;
    std::vector<ChangeRange> available_;

    bool started_ = false;
    int cuts_ = 0;                      ///< so many tables to come end with their first segment
    std::optional<Lsn> went_back_for_;  ///< the newest backup, from which on WAL is read
    std::optional<Lsn> summarized_;     ///< the newest backup, once it was looked at
    Lsn flushed_ = 0;
    Lsn at_ = 0;        ///< tables before it are there, or will never be
    Lsn wait_for_ = 0;  ///< nothing can be read before so much is flushed
    ChangeRange gap_;   ///< the last one

    // While a table is being made; it begins at at_.
    std::optional<ChangeScan> scan_;
    TimelineId timeline_ = 0;
    Lsn table_end_ = 0;
    Lsn read_ = 0;              ///< so much is in it
    std::string live_trouble_;  ///< of the segment that is read: why it was not pg_wal's

    std::optional<RangeChanges> finished_;
};

}  // namespace ark
