#include "core/archive/wal_hole.hpp"

#include <dirent.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "core/archive/fetch.hpp"
#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/pgdata/timeline_history.hpp"
#include "core/pgdata/wal_segment.hpp"
#include "core/repo/stored_segments.hpp"

namespace ark {

namespace {

constexpr size_t kMaxHistoryBytes = 16 << 20;

class HoleSearch {
 public:
    HoleSearch(const FetchContext& context, const RecoveringCluster& cluster,
               const std::string& segment, const WalFileName& file)
        : context_(context),
          cluster_(cluster),
          segment_(segment),
          timeline_(file.timeline),
          size_(cluster.segment_size),
          number_(file.segment_number(size_)),
          pg_wal_(cluster.data_directory + "/pg_wal/") {}

    std::optional<std::string> run() const {
        if (is_left() || is_whole_in_pg_wal())
            return std::nullopt;
        for (const TimelineId timeline : timelines_from_here()) {
            const auto found = first_stored_segment(
                context_.repository, {context_.cluster, timeline, size_, number_ + 1});
            if (found && !is_before_its_timeline())
                return segment_name({timeline, *found}, size_);
        }
        return std::nullopt;
    }

 private:
    bool leaves(const TimelineHistory& way) const {
        return way.contains(timeline_) && way.end_of(timeline_) < (number_ + 1) * size_;
    }

    bool has_way() const {
        return context_.target != nullptr && context_.target->contains(timeline_);
    }

    // What is missing of a timeline behind the place where the way leaves it is missed by nobody.
    bool is_left() const {
        return has_way() ? leaves(*context_.target)
                         : std::ranges::any_of(own_ways(), [&](auto& w) { return leaves(w); });
    }

    // The server keeps the history of the timeline that it follows.
    std::vector<TimelineHistory> own_ways() const {
        std::vector<TimelineHistory> ways;
        const std::unique_ptr<DIR, int (*)(DIR*)> stream(opendir(pg_wal_.c_str()), closedir);
        if (!stream)
            return ways;
        while (const dirent* entry = readdir(stream.get())) {
            const auto name = parse_wal_file_name(entry->d_name);
            if (!name || name->kind != WalFileKind::history || name->timeline <= timeline_)
                continue;
            if (auto way = own_way(entry->d_name, name->timeline))
                ways.push_back(std::move(*way));
        }
        return ways;
    }

    std::optional<TimelineHistory> own_way(const std::string& name, TimelineId timeline) const {
        try {
            const auto content = read_file_if_exists(pg_wal_ + name, kMaxHistoryBytes);
            if (content)
                return TimelineHistory::parse(timeline, as_text(*content));
        } catch (const Error& error) {
            if (error.code != ErrorCode::corrupt)  // the server follows none that it can't read
                throw;
        }
        return std::nullopt;
    }

    // The server takes its own file where the archive has none.
    bool is_whole_in_pg_wal() const {
        try {
            const auto content = read_file_if_exists(pg_wal_ + segment_, size_);
            if (!content)
                return false;
            check_complete_segment(*content, segment_, {cluster_.system_identifier, size_});
            return true;
        } catch (const Error& error) {
            if (error.code != ErrorCode::corrupt)
                throw;
            return false;
        }
    }

    std::vector<TimelineId> timelines_from_here() const {
        std::vector<TimelineId> timelines{timeline_};
        if (has_way()) {
            timelines = context_.target->timelines();
            std::erase_if(timelines, [&](TimelineId timeline) { return timeline < timeline_; });
        }
        return timelines;
    }

    bool is_before_its_timeline() const {
        if (timeline_ == 1)
            return false;
        Lsn begin = 0;
        if (has_way()) {
            begin = context_.target->begin_of(timeline_);
        } else if (const auto history = fetch_history(context_, timeline_)) {
            begin = TimelineHistory::parse(timeline_, as_text(*history)).begin_of(timeline_);
        }
        return number_ < begin / size_;
    }

    const FetchContext& context_;
    const RecoveringCluster& cluster_;
    const std::string& segment_;
    const TimelineId timeline_;
    const uint64_t size_;
    const uint64_t number_;
    const std::string pg_wal_;
};

}  // namespace

std::optional<std::string> find_wal_behind(const FetchContext& context,
                                           const RecoveringCluster& cluster,
                                           const std::string& segment) {
    const auto file = parse_wal_file_name(segment);
    if (!file || file->kind != WalFileKind::segment)
        return std::nullopt;
    return HoleSearch(context, cluster, segment, *file).run();
}

}  // namespace ark
