#include "core/stream/contiguity.hpp"

#include <algorithm>
#include <set>

#include "core/archive/tail.hpp"
#include "core/archive/wal_source.hpp"
#include "core/base/error.hpp"
#include "core/repo/vault_store.hpp"

namespace ark {

Contiguity::Contiguity(Repository& repository, const PushTarget& target, Archived& archived)
    : repository_(repository),
      cluster_(target.cluster),
      system_identifier_(target.system_identifier),
      segment_size_(target.segment_size),
      archived_(archived) {}

// Where the one begins that would be restored. Only markers that are new are read.
std::optional<Lsn> Contiguity::newest_backup(const TimelineHistory& history) {
    std::optional<Lsn> newest;
    std::map<std::string, BackupRange> found;
    for (const std::string& id : repository_.store().list_parts(cluster_ + "/backup")) {
        const auto known = backups_.find(id);
        if (known != backups_.end()) {
            found.insert(*known);
            continue;
        }
        try {
            if (const auto backup = outline_backup(repository_, cluster_, id))
                found[id] = backup->range;
        } catch (const Error& error) {
            // One that can't be read can't be restored either; verification is who tells.
            if (error.code != ErrorCode::corrupt && error.code != ErrorCode::unsupported)
                throw;
        }
    }
    backups_ = std::move(found);
    for (const auto& [id, range] : backups_) {
        if (history.contains_range(range.timeline, range.start, range.stop))
            newest = std::max(newest.value_or(0), range.start);
    }
    return newest;
}

bool Contiguity::is_there(const std::string& segment) {
    if (archived_.is_stored(segment) || archived_.push(segment))
        return true;
    const FetchContext context{repository_, cluster_, system_identifier_, nullptr};
    const auto chain = only_writes(repository_.store(), cluster_)
                           ? read_tail_to_mend(context, segment, segment_size_)
                           : read_tail(context, segment);
    return chain && chain->complete;
}

std::optional<ArchiveGap> Contiguity::find_gap(const TimelineHistory& history, Lsn before) {
    const auto start = newest_backup(history);
    if (!start)
        return std::nullopt;
    const uint64_t first = *start / segment_size_;
    const uint64_t end = before / segment_size_;
    if (first >= end)
        return std::nullopt;
    RepositoryWal wal(repository_, cluster_, segment_size_, history);
    const std::set<uint64_t> listed = wal.listed(first);
    for (uint64_t number = first; number < end; ++number) {
        if (listed.contains(number))
            continue;
        const Lsn last_byte = (number + 1) * segment_size_ - 1;
        const std::string segment =
            segment_name({history.timeline_at(last_byte), number}, segment_size_);
        // A listing may lag.
        if (!is_there(segment))
            return ArchiveGap{segment, number * segment_size_};
    }
    return std::nullopt;
}

}  // namespace ark
