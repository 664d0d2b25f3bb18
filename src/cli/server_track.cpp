// The role server-track: the child of the WAL worker that keeps change tables
// (docs/incremental.md). One thread: nobody waits for it, and what hangs in the store is ended by a
// signal.

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <new>
#include <optional>

#include "cli/child/opening.hpp"
#include "cli/command.hpp"
#include "core/archive/wal_source.hpp"
#include "core/base/clock.hpp"
#include "core/base/file.hpp"
#include "core/changes/change_tracker.hpp"
#include "core/repo/vault_store.hpp"

namespace ark {

namespace {

// It yields to the server's own work, and has to keep up with it.
constexpr int kNiceness = 5;
constexpr int kRetrySeconds = 30;
// A segment of pg_wal, two of the repository and what one of them is made from.
constexpr uint64_t kSegmentsInMemory = 5;
constexpr int kDefaultMemoryMegabytes = 128;
constexpr uint64_t kShareOfMemory = 4;
constexpr size_t kMostHistoryBytes = size_t{1} << 20;

constexpr int kIdleMillis = 1000;
constexpr int64_t kSecond = 1000000000LL;
constexpr int64_t kPositionNanos = 10 * kSecond;
constexpr int64_t kReadingNanos = kSecond;  // between positions, while it reads a lot
// Where the archiver waits for tables.
constexpr int64_t kAwaitedNanos = kSecond / 100;
constexpr int64_t kCountNanos = 10 * kSecond;
constexpr int64_t kLookNanos = 600 * kSecond;
constexpr int64_t kFirstPause = kSecond;
constexpr int64_t kLastPause = 30 * kSecond;

uint64_t cpu_micros() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto micros = [](const timeval& time) {
        return static_cast<uint64_t>(time.tv_sec) * 1000000 + static_cast<uint64_t>(time.tv_usec);
    };
    return micros(usage.ru_utime) + micros(usage.ru_stime);
}

TimelineHistory way_to(const Opening& opening, TimelineId timeline) {
    const auto content = read_file_if_exists(
        opening.cluster.data_directory + "/pg_wal/" + history_name(timeline), kMostHistoryBytes);
    if (content)
        return TimelineHistory::parse(timeline, as_text(*content));
    return load_timeline_history(*opening.repository, opening.cluster_name(), timeline);
}

class TrackConversation {
 public:
    TrackConversation(Channel& channel, const Opening& opening, const Message& first)
        : channel_(channel),
          opening_(opening),
          way_(way_to(opening, static_cast<TimelineId>(first.number("timeline")))),
          archived_(*opening.repository, opening.cluster_name(), opening.cluster.wal_segment_size,
                    way_),
          tracker_(setup(), [this](const Error& error) { warn(error); }),
          reading_interval_(only_writes(opening.repository->store(), opening.cluster_name())
                                ? kAwaitedNanos
                                : kReadingNanos),
          flushed_(lsn_of(first)) {}

    /// Until the other side goes. Error: cancelled then; what trying again does not help.
    void run() {
        for (;;) {
            const bool is_busy = work();
            tell();
            const bool can_go_on = is_busy && pause_until_ == 0;
            if (channel_.wait(can_go_on ? 0 : kIdleMillis))
                take(channel_.receive());
        }
    }

 private:
    static Lsn lsn_of(const Message& message) {
        return parse_lsn(message.token("flushed")).value_or(0);
    }

    TrackerSetup setup() {
        TrackerSetup out{*opening_.repository,
                         opening_.cluster_name(),
                         opening_.cluster.data_directory,
                         opening_.cluster.wal_segment_size,
                         way_,
                         [this](uint64_t number) { return archived_.read_segment(number); },
                         make_writer(opening_.cluster.data_directory)};
        const auto memory = static_cast<uint64_t>(
            std::max(opening_.setting_number("memory_limit_mb", kDefaultMemoryMegabytes), 0));
        out.summary_bytes = (memory << 20) / kShareOfMemory;
        return out;
    }

    // A later module may say more.
    void take(const std::optional<Message>& message) {
        if (!message)
            return;
        if (message->verb() == "flushed") {
            flushed_ = std::max(flushed_, lsn_of(*message));
        } else if (message->verb() == "cut") {
            tracker_.cut();
        } else if (message->verb() == "look") {
            next_look_ = 0;
        }
    }

    // False where there is nothing to do for now.
    bool work() {
        const int64_t now = monotonic_nanos();
        if (pause_until_ != 0 && now < pause_until_)
            return false;
        const uint64_t cpu = cpu_micros();
        try {
            if (now >= next_look_) {
                tracker_.look_at_backups();
                next_look_ = now + kLookNanos;
                next_count_ = 0;
            }
            const bool goes_on = tracker_.step(flushed_);
            pause_ = pause_until_ = 0;
            is_behind_ = goes_on;
            reading_micros_ += cpu_micros() - cpu;
            return goes_on;
        } catch (const Error& error) {
            if (error.code == ErrorCode::cancelled || error.code == ErrorCode::internal ||
                error.code == ErrorCode::out_of_memory)
                throw;
            pause_ = pause_ == 0 ? kFirstPause : std::min(2 * pause_, kLastPause);
            pause_until_ = monotonic_nanos() + pause_;
            Error told = error;
            told.retryable = true;  // so the module knows that the child goes on
            channel_.send(message_of("error", told));
            return false;
        }
    }

    void warn(const Error& error) { channel_.send(message_of("warning", error)); }

    void tell() {
        const int64_t now = monotonic_nanos();
        const TrackerStatus& status = tracker_.status();
        const bool changed = status.position != told_position_ || flushed_ != told_flushed_ ||
                             is_behind_ != told_behind_ || pause_ != 0;
        const int64_t since = now - told_at_;
        if (told_at_ != 0 && (!changed || (is_behind_ && since < reading_interval_)) &&
            since < kPositionNanos && next_count_ != 0)
            return;
        if (now >= next_count_ || status.gaps != told_gaps_) {
            count_ = tracker_.count();
            next_count_ = now + kCountNanos;
        }
        Message message("position");
        message.add_token("state", pause_ != 0  ? "retrying"
                                   : is_behind_ ? "reading"
                                                : "tracking")
            .add_number("timeline", status.timeline)
            .add_token("lsn", to_text(status.position))
            .add_token("stored", to_text(status.stored))
            .add_token("flushed", to_text(flushed_))
            .add_number("tables", status.tables)
            .add_number("segments", status.segments)
            .add_number("bytes", status.bytes)
            .add_number("gaps", status.gaps)
            .add_text("gap", status.last_gap)
            .add_number("cpu", cpu_micros())
            .add_number("reading", reading_micros_);
        if (count_) {
            message.add_token("since", to_text(count_->since))
                .add_number("blocks", count_->blocks)
                .add_number("relations", count_->relations);
        }
        channel_.send(message);
        told_at_ = now;
        told_gaps_ = status.gaps;
        told_position_ = status.position;
        told_flushed_ = flushed_;
        told_behind_ = is_behind_;
    }

    Channel& channel_;
    const Opening& opening_;
    const TimelineHistory way_;
    RepositoryWal archived_;
    ChangeTracker tracker_;
    const int64_t reading_interval_;
    Lsn flushed_;
    uint64_t reading_micros_ = 0;
    bool is_behind_ = true;
    std::optional<ChangeCount> count_;
    int64_t next_count_ = 0;
    int64_t next_look_ = monotonic_nanos() + kLookNanos;  ///< the tracker has looked by itself
    int64_t pause_ = 0;
    int64_t pause_until_ = 0;

    int64_t told_at_ = 0;
    Lsn told_position_ = 0;
    uint64_t told_gaps_ = 0;
    Lsn told_flushed_ = 0;
    bool told_behind_ = true;
};

}  // namespace

int run_server_track() {
    become_child();
    static_cast<void>(!nice(kNiceness));
    Channel channel;
    const std::optional<Opening> opening =
        open_conversation(channel, kSegmentsInMemory, nullptr, kRetrySeconds);
    if (!opening)
        return 0;
    const std::optional<Message> first = channel.receive();
    if (!first)
        return 0;
    std::optional<Error> failure;
    try {
        if (first->verb() != "track")
            throw Error(ErrorCode::protocol_violation,
                        "unexpected message \"" + first->verb() + "\"");
        TrackConversation(channel, *opening, *first).run();
    } catch (const Error& error) {
        if (error.code == ErrorCode::cancelled)
            return 0;
        failure = error;
    } catch (const std::bad_alloc&) {
        failure =
            Error(ErrorCode::out_of_memory, "out of memory", {}, "Raise pg_ark.memory_limit.");
    } catch (const std::exception& error) {
        failure = Error(ErrorCode::internal, error.what());
    }
    failure->retryable = false;
    channel.send(message_of("error", *failure));
    return 1;
}

}  // namespace ark
