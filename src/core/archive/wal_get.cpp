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
#include "core/archive/tablespace_guard.hpp"
#include "core/archive/wal_source.hpp"
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
constexpr std::string_view kTemporary = ".pg_ark.";

// Tries go on while their error may pass.
bool may_pass(const Error& error, int failures) {
    switch (error.code) {
        case ErrorCode::corrupt:  // a transfer can damage bytes, too; a SegmentHole can close
            return error.retryable || failures < kTriesOnDamage;
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

// One call of wal-get; each try runs from the beginning, since what failed may have been anything.
class Attempt {
 public:
    Attempt(const WalGetRequest& request, const WalFileName& file, Repository& repository,
            const std::function<void(const Error&)>& warn_of_damage)
        : request_(request),
          file_(file),
          repository_(repository),
          warn_of_damage_(warn_of_damage) {}

    WalGetResult run() {
        recovering_ = find_recovering_cluster(request_.working_directory);
        choose_cluster();
        choose_target();
        const std::optional<Bytes> content = fetch(request_.name);
        if (damage_)
            warn_of_damage_(*damage_);
        if (!content) {
            // An empty place (a file system that isn't mounted) has no files either: only a
            // repository that has the cluster can say that one of its files is missing.
            repository_.resolve_cluster(cluster_);
            return WalGetResult::not_there;
        }
        guard(*content);
        write_in_place(request_.path, *content);
        return WalGetResult::written;
    }

 private:
    void choose_cluster() {
        cluster_ = request_.cluster;
        if (!cluster_.empty())
            return;
        if (recovering_) {
            cluster_ = std::to_string(recovering_->system_identifier);
            if (has_cluster(cluster_))
                return;
        }
        cluster_ = repository_.resolve_cluster("");
    }

    bool has_cluster(const std::string& name) {
        return std::ranges::count(repository_.clusters(), name) != 0;
    }

    void choose_target() {
        const std::string& wanted = request_.target_timeline;
        if (wanted.empty() || file_.kind != WalFileKind::segment)
            return;
        TimelineId timeline = 0;
        if (wanted == "latest") {
            timeline = find_newest_timeline(repository_, cluster_, file_.timeline);
        } else {
            const char* end = wanted.data() + wanted.size();
            const auto parsed = std::from_chars(wanted.data(), end, timeline);
            if (parsed.ec != std::errc{} || parsed.ptr != end || timeline == 0) {
                throw Error(ErrorCode::invalid_argument,
                            "invalid value for --target-timeline: \"" + wanted + "\"", {},
                            "Give a timeline's number, or latest.");
            }
        }
        // The way leaves only what lies before its target; a target needs no history for itself.
        if (file_.timeline < timeline)
            target_ = load_timeline_history(repository_, cluster_, timeline);
    }

    FetchContext context() {
        return {repository_, cluster_,
                recovering_ ? std::optional(recovering_->system_identifier) : std::nullopt,
                target_ ? &*target_ : nullptr};
    }

    // Its neighbours are only looked at: what the server has of them itself is no matter there.
    std::optional<Bytes> fetch_asked_for() {
        FetchContext telling = context();
        telling.warn = [this](const Error& error) { damage_ = error; };
        std::optional<FetchedSegment> segment = fetch_segment_and_end(telling, request_.name);
        if (!segment || own_file_has_more(*segment))
            return std::nullopt;
        return std::move(segment->bytes);
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
        if (!content || !request_.contain_tablespaces)
            return content;
        const uint64_t size = content->size();
        const TimelineId timeline = file_.timeline;
        contain_tablespaces(
            *content, parse_wal_file_name(name)->segment_number(size), [&](uint64_t number) {
                return fetch_segment(context(), segment_name({timeline, number}, size));
            });
        return content;
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
    Repository& repository_;
    const std::function<void(const Error&)>& warn_of_damage_;
    std::string cluster_;
    std::optional<Error> damage_;  ///< of the last piece of WAL
    std::optional<RecoveringCluster> recovering_;
    std::optional<TimelineHistory> target_;
};

// Waits longer from try to try, but never past the deadline.
class Pauses {
 public:
    Pauses(OnError on_error, int64_t timeout_s)
        : endless_(on_error == OnError::wait), deadline_(monotonic_nanos() + timeout_s * kSecond) {}

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
                     const std::function<void(const Error&)>& warn_of_damage) {
    const auto file = parse_wal_file_name(request.name);
    if (!file) {
        throw Error(ErrorCode::invalid_argument,
                    "\"" + request.name + "\" is not the name of a WAL file", {},
                    "Use restore_command = 'pg_ark wal-get %f %p'.");
    }
    remove_left_over(request.path);
    Pauses pauses(request.on_error, request.timeout_s);
    int64_t warn_after = 0;
    for (int failures = 1;; ++failures) {
        std::exception_ptr thrown;
        try {
            const std::unique_ptr<Repository> repository = open();
            return Attempt(request, *file, *repository, warn_of_damage).run();
        } catch (...) {
            thrown = std::current_exception();
        }
        const Error error = as_error(thrown);
        if (!may_pass(error, failures))
            throw Error(error);
        if (!pauses.time_is_left()) {
            // A timeline that is taken for free is taken twice: a history file is never "not there"
            // because of a failure.
            if (request.on_error == OnError::not_found && file->kind != WalFileKind::history) {
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
