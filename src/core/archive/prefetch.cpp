#include "core/archive/prefetch.hpp"

#include <poll.h>
#include <sys/inotify.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "core/archive/prefetch_plan.hpp"
#include "core/archive/recovery_way.hpp"
#include "core/archive/tablespace_guard.hpp"
#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/pgdata/control_file.hpp"
#include "core/pgdata/wal_segment.hpp"
#include "core/repo/object.hpp"
#include "core/repo/vault_store.hpp"

namespace ark {

namespace {

constexpr int64_t kSecond = 1000000000;
constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
constexpr int kTickMillis = 200;
constexpr uint64_t kMaxSegmentBytes = 1ULL << 30;

/// Wakes when a name in a directory changes; without inotify (its instances are limited) often.
class DirectoryWatch {
 public:
    explicit DirectoryWatch(const std::string& directory)
        : file_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC), "inotify") {
        works_ =
            file_.is_open() && inotify_add_watch(file_.fd(), directory.c_str(), IN_MOVED_TO) >= 0;
    }
    void wait() const {
        constexpr int kOften = 20;
        pollfd changed{works_ ? file_.fd() : -1, POLLIN, 0};
        if (poll(&changed, 1, works_ ? kTickMillis : kOften) <= 0)
            return;
        std::array<char, 4096> passed_over{};
        while (read(file_.fd(), passed_over.data(), passed_over.size()) > 0) {
        }
    }

 private:
    File file_;
    bool works_ = false;
};

struct WholeSegment {
    Bytes content;
    Hash128 hash;
};

// A complete segment, or nothing: neither pieces of it nor a .partial.
std::optional<WholeSegment> fetch_whole(Repository& repository, const std::string& cluster,
                                        const std::string& name, const ControlFile& control) {
    const std::string where = place::segment(name);
    const auto stored =
        repository.store().get(cluster + "/" + where, kMaxSegmentBytes + (kMaxSegmentBytes >> 6));
    if (!stored)
        return std::nullopt;
    Bytes content = open_object(*stored, ObjectKind::wal, where, kMaxSegmentBytes,
                                vault_of(repository.store(), cluster).get());
    check_segment_header(content, name, {control.system_identifier, control.wal_segment_size});
    // Which open_object has compared.
    const Hash128 known = parse_header(*stored, where).header.hash;
    const Hash128 hash = known.is_known() ? known : content_hash(content);
    return WholeSegment{std::move(content), hash};
}

}  // namespace

class Prefetcher::Work {
 public:
    Work(PrefetchOrder order, std::function<std::unique_ptr<Repository>()> open)
        : order_(std::move(order)),
          spool_(order_.data_directory, spool_key(order_.origin, order_.process)),
          control_(read_control_file(order_.data_directory)),
          size_(control_.wal_segment_size),
          depth_(prefetch_depth(order_.segments, size_)),
          fetchers_(prefetch_threads(depth_, size_)),
          is_latest_(order_.origin.target_timeline == "latest"),
          repository_(open()),
          cluster_(choose_cluster(*repository_, order_.origin.cluster,
                                  order_.origin.system_identifier)) {}

    ~Work() {
        stop();
        for (std::thread& thread : threads_)
            thread.join();
    }

    void run(const std::function<bool()>& is_over) {
        const DirectoryWatch watch(spool_.directory());
        spool_.clear();  // only what this process has written counts as whole
        last_asked_ = monotonic_nanos();
        // One more for the way alone: with a slow store it must not wait for segments.
        while (threads_.size() < fetchers_ + 1)
            threads_.emplace_back([this] { work(); });
        try {
            while (!is_over() && is_running(order_.process) && look())
                watch.wait();
        } catch (...) {
            stop();
            throw;
        }
        stop();
    }

 private:
    using Lock = std::unique_lock<std::mutex>;

    void stop() {
        const Lock lock(mutex_);
        stop_ = true;
        wake_.notify_all();
    }

    // ---- the thread that watches

    // False when there is nothing more to do.
    bool look() {
        const Lock lock(mutex_);
        try {
            if (const auto wish = spool_.wanted(); wish && wish != wish_)
                follow(*wish);
        } catch (const Error& error) {
            if (error.code == ErrorCode::conflict)
                return false;
        }
        take_stock();
        wake_.notify_all();  // what has failed may be due again
        const bool empty = is_empty_ && coming_.empty();
        return monotonic_nanos() - last_asked_ < idle_seconds(empty, size_) * kSecond;
    }

    void follow(const SpoolWish& wish) {
        const auto parsed = parse_wal_file_name(wish.segment);
        if (!parsed || parsed->kind != WalFileKind::segment)
            return;
        const WalSegment now{parsed->timeline, parsed->segment_number(size_)};
        way_is_due_ = way_is_due_ || !position_ || position_->timeline != now.timeline;
        wish_ = wish;
        position_ = now;
        window_ = next_window(window_, depth_, wish.from_spool);
        last_asked_ = monotonic_nanos();
        not_there_.clear();
        plan();
    }

    void plan() {
        ahead_.clear();
        if (position_ && way_is_known_)
            ahead_ = segments_ahead(*position_, window_, way_ ? &*way_ : nullptr, size_);
        std::erase_if(failed_, [&](const auto& entry) { return !is_ahead(entry.first); });
        std::erase_if(published_, [&](const std::string& name) { return !is_ahead(name); });
        std::erase_if(neighbours_, [&](const auto& entry) { return !is_ahead(entry.first); });
    }

    bool is_ahead(const std::string& name) const { return std::ranges::count(ahead_, name) != 0; }

    // What recovery has passed by goes.
    void take_stock() {
        const std::vector<std::string> found = spool_.segments();
        is_empty_ = found.empty();
        if (!way_is_known_)
            return;
        for (const std::string& name : found) {
            if (!is_ahead(name))
                spool_.remove(name);
        }
    }

    // ---- the threads that fetch

    void work() {
        Lock lock(mutex_);
        while (!stop_) {
            try {
                if (do_something(lock))
                    continue;
            } catch (...) {  // no memory for a name
            }
            wake_.wait_for(lock, std::chrono::milliseconds(kTickMillis));
        }
    }

    bool do_something(Lock& lock) {
        if (position_ && !choosing_ && way_is_due()) {
            choose(lock);
            return true;
        }
        const auto name = next();
        if (name)
            fetch(lock, *name);
        return name.has_value();
    }

    // A new timeline may appear at any time; another target's history never changes.
    bool way_is_due() const {
        const int64_t now = monotonic_nanos();
        return (way_is_due_ || (is_latest_ && now >= next_choice_)) && now >= no_choice_before_;
    }

    void choose(Lock& lock) {
        choosing_ = true;
        way_is_due_ = false;
        const TimelineId timeline = position_->timeline;
        const int64_t began = boot_nanos();
        std::optional<TimelineHistory> way;
        bool known = false;
        lock.unlock();
        try {
            way = choose_way(*repository_, cluster_, order_.origin.target_timeline, timeline,
                             replayed_by(read_control_file(order_.data_directory)));
            known = true;
        } catch (...) {  // who asks for a segment will hear of it
        }
        lock.lock();
        choosing_ = false;
        next_choice_ = monotonic_nanos() + kSecond;
        if (!known) {
            way_is_due_ = true;
            no_choice_before_ = next_choice_;
            return;
        }
        take_way(std::move(way));
        if (is_latest_ && !stop_)
            spool_.confirm(began);
    }

    // What was fetched for another way may have to be cut on this one.
    void take_way(std::optional<TimelineHistory> way) {
        if (way_is_known_ && way == way_)
            return;
        spool_.clear();
        published_.clear();
        neighbours_.clear();
        ++generation_;
        way_ = std::move(way);
        way_is_known_ = true;
        plan();
        wake_.notify_all();
    }

    // Nothing behind one that the repository did not have when recovery asked last.
    std::optional<std::string> next() const {
        if (coming_.size() >= fetchers_)
            return std::nullopt;
        const int64_t now = monotonic_nanos();
        for (const std::string& name : ahead_) {
            if (not_there_.contains(name))
                return std::nullopt;
            const auto failure = failed_.find(name);
            const bool has_failed = failure != failed_.end() && now < failure->second;
            if (!has_failed && !published_.contains(name) && !coming_.contains(name))
                return has_room() ? std::optional(name) : std::nullopt;
        }
        return std::nullopt;
    }

    bool has_room() const {
        struct statvfs fs {};
        if (statvfs(spool_.directory().c_str(), &fs) != 0)
            return false;
        return has_room_for_segment(fs.f_bavail * fs.f_frsize, fs.f_blocks * fs.f_frsize,
                                    coming_.size(), size_);
    }

    void fetch(Lock& lock, const std::string& name) {
        coming_.insert(name);
        const uint64_t generation = generation_;
        try {
            spool_.begin(name);
            lock.unlock();
            const auto segment = fetch_whole(*repository_, cluster_, name, control_);
            TablespaceVerdict verdict;
            if (segment) {
                const uint64_t number = parse_wal_file_name(name)->segment_number(size_);
                verdict = judge_tablespaces(segment->content, number);
                spool_.write(name, segment->content);
            }
            lock.lock();
            coming_.erase(name);
            if (segment && generation == generation_ && is_ahead(name) && !stop_) {
                publish(name, *segment, verdict);
                return;
            }
            if (!segment)
                not_there_.insert(name);
        } catch (const Error& error) {
            if (!lock.owns_lock())
                lock.lock();
            coming_.erase(name);
            // Damage stays; the rest may pass.
            const bool stays = error.code == ErrorCode::corrupt;
            failed_[name] = stays ? kNever : monotonic_nanos() + kSecond;
        } catch (...) {
            if (!lock.owns_lock())
                lock.lock();
            coming_.erase(name);
            failed_[name] = monotonic_nanos() + kSecond;
        }
        spool_.give_up(name);
    }

    void publish(const std::string& name, const WholeSegment& segment,
                 const TablespaceVerdict& verdict) {
        spool_.publish(name, segment.hash, verdict.is_free);
        published_.insert(name);
        Neighbour& its = neighbours_[name];
        const auto begin = ByteView(segment.content).first(kEnoughOfNextSegment);
        its = {segment.hash, verdict.cut, {begin.begin(), begin.end()}};
        const auto at = std::ranges::find(ahead_, name);
        if (at != ahead_.begin())
            ask_next(*std::prev(at), name);
        if (std::next(at) != ahead_.end())
            ask_next(name, *std::next(at));
    }

    // One segment in ten ends in the first bytes of a record, and only the next one tells which.
    // Whoever takes it without that answer has to fetch that one himself.
    void ask_next(const std::string& name, const std::string& next) {
        const auto its = neighbours_.find(name);
        const auto other = neighbours_.find(next);
        if (its == neighbours_.end() || other == neighbours_.end() || !its->second.cut)
            return;
        if (goes_on_without_tablespace(*its->second.cut, other->second.begin))
            spool_.set_free(name, its->second.hash);
        its->second.cut.reset();
    }

    /// What was fetched, as far as it matters to the segment before or behind it.
    struct Neighbour {
        Hash128 hash;
        std::optional<CutRecord> cut;  ///< at its end
        Bytes begin;
    };

    const PrefetchOrder order_;
    const Spool spool_;
    const ControlFile control_;
    const uint64_t size_;
    const size_t depth_;
    const size_t fetchers_;
    const bool is_latest_;
    const std::unique_ptr<Repository> repository_;
    const std::string cluster_;
    std::vector<std::thread> threads_;

    std::mutex mutex_;
    // All below under mutex_.
    std::condition_variable wake_;
    bool stop_ = false;
    std::optional<SpoolWish> wish_;
    std::optional<WalSegment> position_;  ///< what recovery asked for last
    size_t window_ = 0;
    int64_t last_asked_ = 0;
    std::vector<std::string> ahead_;               ///< what it will ask for
    std::set<std::string> published_;              ///< of them; some may have been taken since
    std::map<std::string, Neighbour> neighbours_;  ///< of `published_`
    bool is_empty_ = true;                         ///< the spool, when it was looked at last
    std::set<std::string> coming_;
    std::set<std::string> not_there_;
    std::map<std::string, int64_t> failed_;  ///< not before this time again
    std::optional<TimelineHistory> way_;
    bool way_is_known_ = false;
    bool way_is_due_ = true;
    bool choosing_ = false;
    int64_t next_choice_ = 0;
    int64_t no_choice_before_ = 0;
    uint64_t generation_ = 0;  ///< of the way
};

Prefetcher::Prefetcher(PrefetchOrder order, std::function<std::unique_ptr<Repository>()> open)
    : work_(std::make_unique<Work>(std::move(order), std::move(open))) {}

Prefetcher::~Prefetcher() = default;

void Prefetcher::run(const std::function<bool()>& is_over) {
    work_->run(is_over);
}

}  // namespace ark
