#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "core/base/bytes.hpp"
#include "core/base/file.hpp"
#include "core/pgdata/timeline_history.hpp"
#include "core/pgdata/wal_name.hpp"

namespace ark {

/// How much a segment has of the page in which flushed WAL ends.
enum class LiveEnd {
    page,        ///< all of it: for who knows where to stop
    whole_pages  ///< nothing: what was given stays as it is
};

/// WAL in the pg_wal of a running server, along the history of its timeline. Nothing keeps a file
/// there: the server may remove it, or use it anew, at any time, also while it is read; then its
/// pages are not those that a reader of WAL wants there, and it has to come from the repository.
/// One thread.
class LiveWal {
 public:
    LiveWal(const std::string& data_directory, TimelineHistory way, uint64_t segment_size,
            Lsn flushed, LiveEnd end = LiveEnd::page);

    /// The server's WAL is flushed up to here.
    void set_flushed(Lsn flushed) { flushed_ = flushed; }

    /// The segment, or what of it is flushed, by pages; zeros from where the way leaves the file's
    /// timeline. Valid until the next call. nullopt where there is no such file, or it does not
    /// begin with this WAL.
    std::optional<ByteView> read(uint64_t number);
    /// Keeps the files of segments from this one on open, at most so many, those too that the
    /// server has not written to yet: what has gone from pg_wal when it is to be read can be read
    /// all the same, as long as the server has not used the file anew.
    void hold(uint64_t first, size_t most);
    /// Whether read() would give it, as far as its first page shows.
    bool has(uint64_t number) const;

 private:
    struct Found {
        std::shared_ptr<const File> file;
        TimelineId timeline = 0;
        uint32_t page_size = 0;
    };
    template <typename Visit>
    void for_each_file(uint64_t number, const Visit& visit) const;
    bool has_segment(Found& found, uint64_t number) const;
    std::optional<Found> find(uint64_t number) const;

    const std::string directory_;
    const TimelineHistory way_;
    const uint64_t segment_size_;
    Lsn flushed_;
    const LiveEnd end_;
    Bytes bytes_;
    std::map<uint64_t, Found> held_;
};

}  // namespace ark
