#include "core/archive/wal_get.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <thread>

#include "core/archive/contain_tablespaces.hpp"
#include "core/archive/fetch.hpp"
#include "core/archive/recovery_way.hpp"
#include "core/archive/tablespace_guard.hpp"
#include "core/archive/wal_hole.hpp"
#include "core/base/clock.hpp"
#include "core/base/fault.hpp"
#include "core/base/file.hpp"
#include "core/pgdata/wal_page.hpp"
#include "core/pgdata/wal_segment.hpp"

namespace ark {

namespace {

// Fault points, in the order of a call: wal_get_before_write, wal_get_before_rename,
// wal_get_after_rename.

constexpr int64_t kSecond = 1000000000;
constexpr int kTriesOnDamage = 3;
constexpr int64_t kFirstPause = kSecond / 10;
constexpr int64_t kLongestPause = 5 * kSecond;
constexpr int64_t kWarnEvery = 60 * kSecond;
// The prefetcher looks for a newer timeline every second.
constexpr int64_t kConfirmedFor = 3 * kSecond;
constexpr size_t kMaxSegmentBytes = 1 << 30;
constexpr std::string_view kTemporary = ".pg_ark.";

// Tries go on while their error may pass.
bool may_pass(const Error& error, int failures) {
    switch (error.code) {
        case ErrorCode::corrupt:  // a transfer can damage bytes, too; a SegmentHole can close
            return error.retryable || failures < kTriesOnDamage;
        case ErrorCode::invalid_key:  // a command for the key may fail for a while
            return error.retryable;
        case ErrorCode::invalid_argument:
        case ErrorCode::unsupported:
        case ErrorCode::refused:
        case ErrorCode::conflict:
        case ErrorCode::internal:
        case ErrorCode::cancelled:
            return false;
        default:
            return true;
    }
}

// A server that was killed leaves its restore_command's temporary file behind.
void remove_left_over(const std::string& path) {
    const std::string directory = parent_directory(path);
    const std::string prefix = path.substr(path.find_last_of('/') + 1) + std::string(kTemporary);
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(opendir(directory.c_str()), closedir);
    if (!stream)
        return;
    while (const dirent* entry = readdir(stream.get())) {
        const std::string name = entry->d_name;
        if (!name.starts_with(prefix))
            continue;
        pid_t pid = 0;
        const char* end = name.data() + name.size();
        const auto parsed = std::from_chars(name.data() + prefix.size(), end, pid);
        if (parsed.ec != std::errc{} || parsed.ptr != end || pid <= 0)
            continue;
        const bool is_gone = kill(pid, 0) != 0 && errno == ESRCH;
        std::error_code ignored;
        if (is_gone)
            std::filesystem::remove(std::filesystem::path(directory) / name, ignored);
    }
}

// Not fsynced: the server does that before it keeps the file, and asks again after a crash.
void write_in_place(const std::string& path, ByteView content) {
    // The server's umask says whether the group may read its files.
    constexpr mode_t kMode = 0640;
    const std::string temporary = path + std::string(kTemporary) + std::to_string(getpid());
    unlink(temporary.c_str());
    File file = File::open(temporary, O_WRONLY | O_CREAT | O_EXCL, kMode);
    try {
        PG_ARK_FAULT_POINT("wal_get_before_write");
        file.write_all(content);
        file.close();
        PG_ARK_FAULT_POINT("wal_get_before_rename");
        if (rename(temporary.c_str(), path.c_str()) != 0) {
            throw system_error(errno, "could not rename file \"" + temporary + "\"");
        }
    } catch (...) {
        unlink(temporary.c_str());
        throw;
    }
    PG_ARK_FAULT_POINT("wal_get_after_rename");
}

// Durable as far as what write_in_place writes is. False where it is gone.
bool move_in_place(const std::string& from, const std::string& path) {
    PG_ARK_FAULT_POINT("wal_get_before_rename");
    const bool moved = rename(from.c_str(), path.c_str()) == 0;
    if (!moved && errno == ENOENT)
        return false;
    if (!moved && errno != EXDEV)
        throw system_error(errno, "could not rename file \"" + from + "\"");
    if (!moved) {
        const auto content = read_file_if_exists(from, kMaxSegmentBytes);
        if (!content)
            return false;
        write_in_place(path, *content);
        unlink(from.c_str());
    }
    PG_ARK_FAULT_POINT("wal_get_after_rename");
    return true;
}

// The spool as one call of wal-get uses it. Without it everything works, only slower: no trouble
// with it is told of.
class SpoolUser {
 public:
    SpoolUser(const WalGetRequest& request, const WalFileName& file) : request_(request) {
        is_used_ = request.prefetch != 0 && request.recovery && !request.repository_url.empty() &&
                   file.kind == WalFileKind::segment;
    }

    /// The segment that is asked for, if it may be given out. Waits where it is just coming, once.
    std::optional<SpooledSegment> find(const std::optional<RecoveringCluster>& cluster) noexcept {
        try {
            if (!is_used_ || !cluster)
                return std::nullopt;
            system_identifier_ = cluster->system_identifier;
            const Spool spool(request_.working_directory, key());
            wait_for_coming(spool);
            if (request_.target_timeline == "latest" && !spool.was_confirmed(kConfirmedFor))
                return std::nullopt;
            return spool.find(request_.name);
        } catch (...) {
            return std::nullopt;
        }
    }

    /// After the answer: tells the prefetcher where recovery is, or has one started.
    void follow_up(WalGetResult result, const StartPrefetcher& start) noexcept {
        try {
            if (!is_used_ || result == WalGetResult::not_there) {
                // The last questions of a recovery: nobody comes any more to what was left.
                remove_abandoned_spool(request_.working_directory);
            } else if (start && system_identifier_) {
                const Spool spool(request_.working_directory, key());
                spool.create();
                spool.want({request_.name, result == WalGetResult::written_from_spool});
                auto lock = SpoolLock::take(spool.directory());
                if (lock)
                    start(order(), *lock);
            }
        } catch (...) {  // the next call may have more luck
        }
    }

 private:
    SpoolOrigin origin() const {
        return {request_.repository_url, request_.cluster, request_.target_timeline,
                system_identifier_.value_or(0), request_.as_of};
    }
    std::string key() const { return spool_key(origin(), *request_.recovery); }
    PrefetchOrder order() const {
        return {request_.working_directory, origin(), std::max(request_.prefetch, 0),
                *request_.recovery};
    }

    void wait_for_coming(const Spool& spool) {
        constexpr int64_t kLongest = 30;
        if (has_waited_)
            return;
        has_waited_ = true;
        const int64_t deadline =
            monotonic_nanos() + std::min(request_.timeout_s, kLongest) * kSecond;
        while (monotonic_nanos() < deadline && spool.is_coming(request_.name))
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }

    const WalGetRequest& request_;
    bool is_used_ = false;
    bool has_waited_ = false;
    std::optional<uint64_t> system_identifier_;
};

// Opened when the first question needs it: what lies in the spool needs none.
class LazyRepository {
 public:
    explicit LazyRepository(const std::function<std::unique_ptr<Repository>()>& open)
        : open_(open) {}
    Repository& get() {
        if (!repository_)
            repository_ = open_();
        return *repository_;
    }

 private:
    const std::function<std::unique_ptr<Repository>()>& open_;
    std::unique_ptr<Repository> repository_;
};

// One call of wal-get; each try runs from the beginning, since what failed may have been anything.
class Attempt {
 public:
    Attempt(const WalGetRequest& request, const WalFileName& file, SpoolUser& spool,
            const std::function<std::unique_ptr<Repository>()>& open,
            const std::function<void(const Error&)>& warn_of_damage)
        : request_(request),
          file_(file),
          spool_(spool),
          repository_(open),
          warn_of_damage_(warn_of_damage) {}

    WalGetResult run() {
        recovering_ = find_recovering_cluster(request_.working_directory);
        const auto spooled = spool_.find(recovering_);
        if (spooled && serve(*spooled))
            return WalGetResult::written_from_spool;
        choose();
        std::optional<Bytes> content = fetch(request_.name);
        if (damage_)
            warn_of_damage_(*damage_);
        if (!content && would_end_recovery())
            content = fetch_unless_hole();
        if (!content) {
            // An empty place (a file system that isn't mounted) has no files either: only a
            // repository that has the cluster can say that one of its files is missing.
            repository_.get().resolve_cluster(cluster_);
            return WalGetResult::not_there;
        }
        guard(*content);
        write_in_place(request_.path, *content);
        return WalGetResult::written;
    }

 private:
    // As a fetched one, but that nothing is looked for where nothing can be. False where it is
    // gone: the prefetcher has learned of a new timeline, or has ended.
    bool serve(const SpooledSegment& spooled) {
        if (spooled.is_free && !request_.contain_tablespaces)
            return move_in_place(spooled.path, request_.path);
        choose();
        std::optional<Bytes> content = read_file_if_exists(spooled.path, kMaxSegmentBytes);
        if (!content)
            return false;
        contain(*content, request_.name);
        guard(*content);
        write_in_place(request_.path, *content);
        unlink(spooled.path.c_str());
        return true;
    }

    void choose() {
        Repository& repository = repository_.get();
        cluster_ = choose_cluster(
            repository, request_.cluster,
            recovering_ ? std::optional(recovering_->system_identifier) : std::nullopt);
        if (file_.kind == WalFileKind::segment)
            target_ = choose_way(repository, cluster_, request_.target_timeline, file_.timeline,
                                 recovering_ ? recovering_->replayed : ReplayedWal{});
    }

    FetchContext context() {
        return {repository_.get(), cluster_,
                recovering_ ? std::optional(recovering_->system_identifier) : std::nullopt,
                target_ ? &*target_ : nullptr};
    }

    // Its neighbours are only looked at: what the server has of them itself is no matter there.
    std::optional<Bytes> fetch_asked_for() {
        FetchContext telling = context();
        telling.warn = [this](const Error& error) { damage_ = error; };
        std::optional<FetchedSegment> segment = fetch_segment_and_end(telling, request_.name);
        is_own_file_better_ = segment && own_file_has_more(*segment);
        if (!segment || is_own_file_better_)
            return std::nullopt;
        return std::move(segment->bytes);
    }

    // A standby asks again, or streams: it is shut down by a failure, and nothing else. One that
    // lives from the archive can wait.
    bool would_end_recovery() const {
        if (file_.kind != WalFileKind::segment || !recovering_ || is_own_file_better_)
            return false;
        const std::string standby = recovering_->data_directory + "/standby.signal";
        return request_.on_error == OnError::wait ||
               (request_.on_error == OnError::abort && access(standby.c_str(), F_OK) != 0);
    }

    // What a running server stores before this one is no hole when this one has come meanwhile.
    std::optional<Bytes> fetch_unless_hole() {
        const auto behind = find_wal_behind(context(), *recovering_, request_.name);
        if (!behind)
            return std::nullopt;
        if (auto content = fetch(request_.name))
            return content;
        SegmentHole hole(
            ErrorCode::corrupt, "WAL segment \"" + request_.name + "\" is not in the repository",
            "Segment \"" + *behind + "\" is, which comes after it: recovery must not end here.",
            "A running server stores it soon. Otherwise put it back, or recover to a target before "
            "it, with recovery_prefetch = off.");
        hole.retryable = true;
        throw SegmentHole(hole);
    }

    // The server would put what it gets in the place of its own file of this name. Where that has
    // more than the end of the archive (a dead server's last segments, for one), it is the one to
    // replay.
    bool own_file_has_more(const FetchedSegment& segment) const {
        const uint64_t size = segment.bytes.size();
        const uint64_t number = file_.segment_number(size);
        const bool way_leaves = target_ && target_->contains(file_.timeline) &&
                                target_->end_of(file_.timeline) < (number + 1) * size;
        if (!recovering_ || !segment.end || way_leaves)
            return false;
        const std::string path = recovering_->data_directory + "/pg_wal/" + request_.name;
        struct stat st {};
        if (stat(path.c_str(), &st) != 0 || static_cast<uint64_t>(st.st_size) != size)
            return false;
        const Bytes own = read_file(path, size);
        const uint64_t archived = *segment.end - number * size;
        return std::ranges::equal(ByteView(own).first(archived),
                                  ByteView(segment.bytes).first(archived)) &&
               end_of_valid_pages(own, number) > *segment.end;
    }

    std::optional<Bytes> fetch(const std::string& name) {
        switch (file_.kind) {
            case WalFileKind::segment:
                return fetch_contained(name);
            case WalFileKind::history:
                return fetch_history(context(), file_.timeline);
            case WalFileKind::partial:
                return fetch_partial(context(), name);
            case WalFileKind::backup_label:
                return std::nullopt;  // never kept: the marker has what it says
        }
        return std::nullopt;
    }

    std::optional<Bytes> fetch_contained(const std::string& name) {
        std::optional<Bytes> content =
            name == request_.name ? fetch_asked_for() : fetch_segment(context(), name);
        if (content)
            contain(*content, name);
        return content;
    }

    void contain(Bytes& content, const std::string& name) {
        if (!request_.contain_tablespaces)
            return;
        const uint64_t size = content.size();
        const TimelineId timeline = file_.timeline;
        contain_tablespaces(
            content, parse_wal_file_name(name)->segment_number(size), [&](uint64_t number) {
                return fetch_segment(context(), segment_name({timeline, number}, size));
            });
    }

    void guard(ByteView content) {
        if (!recovering_ || file_.kind != WalFileKind::segment)
            return;
        const uint64_t size = content.size();
        const uint64_t number = file_.segment_number(size);
        check_tablespaces_in(*recovering_, content, number, [&] {
            return fetch_contained(segment_name({file_.timeline, number + 1}, size));
        });
    }

    const WalGetRequest& request_;
    const WalFileName& file_;
    SpoolUser& spool_;
    LazyRepository repository_;
    const std::function<void(const Error&)>& warn_of_damage_;
    std::string cluster_;
    std::optional<Error> damage_;  ///< of the last piece of WAL
    bool is_own_file_better_ = false;
    std::optional<RecoveringCluster> recovering_;
    std::optional<TimelineHistory> target_;
};

// Waits longer from try to try, but never past the deadline.
class Pauses {
 public:
    Pauses(bool endless, int64_t timeout_s)
        : endless_(endless), deadline_(monotonic_nanos() + timeout_s * kSecond) {}

    bool time_is_left() const { return endless_ || monotonic_nanos() < deadline_; }

    void pause() {
        const int64_t left = std::max<int64_t>(deadline_ - monotonic_nanos(), 0);
        const int64_t now = endless_ ? next_ : std::min(next_, left);
        std::this_thread::sleep_for(std::chrono::nanoseconds(now));
        next_ = std::min(next_ * 2, kLongestPause);
    }

 private:
    bool endless_;
    int64_t deadline_;
    int64_t next_ = kFirstPause;
};

Error as_error(const std::exception_ptr& thrown) {
    try {
        std::rethrow_exception(thrown);
    } catch (const Error& error) {
        return error;
    } catch (const std::bad_alloc&) {
        return {ErrorCode::out_of_memory, "out of memory"};
    } catch (const std::exception& error) {
        return {ErrorCode::internal, error.what()};
    }
}

}  // namespace

WalGetResult wal_get(const WalGetRequest& request,
                     const std::function<std::unique_ptr<Repository>()>& open,
                     const std::function<void(const Error&)>& warn,
                     const std::function<void(const Error&)>& warn_of_damage,
                     const StartPrefetcher& start) {
    const auto file = parse_wal_file_name(request.name);
    if (!file) {
        throw Error(ErrorCode::invalid_argument,
                    "\"" + request.name + "\" is not the name of a WAL file", {},
                    "Use restore_command = 'pg_ark wal-get %f %p'.");
    }
    remove_left_over(request.path);
    SpoolUser spool(request, *file);
    // A timeline that is taken for free is taken twice: a history file is never "not there" because
    // of a failure. Nor may a standby that asks for one shut down because of it.
    const bool without_end =
        request.on_error == OnError::wait ||
        (request.on_error == OnError::not_found && file->kind == WalFileKind::history);
    Pauses pauses(without_end, request.timeout_s);
    int64_t warn_after = 0;
    for (int failures = 1;; ++failures) {
        std::exception_ptr thrown;
        try {
            const WalGetResult result = Attempt(request, *file, spool, open, warn_of_damage).run();
            spool.follow_up(result, start);
            return result;
        } catch (...) {
            thrown = std::current_exception();
        }
        const Error error = as_error(thrown);
        if (!may_pass(error, failures))
            throw Error(error);
        if (!pauses.time_is_left()) {
            if (request.on_error == OnError::not_found) {
                if (failures == 1)
                    warn(error);
                return WalGetResult::not_there;
            }
            throw Error(error);
        }
        if (monotonic_nanos() >= warn_after) {
            warn(error);
            warn_after = monotonic_nanos() + kWarnEvery;
        }
        pauses.pause();
    }
}

}  // namespace ark
