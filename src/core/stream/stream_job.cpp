#include "core/stream/stream_job.hpp"

#include <algorithm>
#include <utility>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/stream/adoption.hpp"
#include "core/stream/histories.hpp"

namespace ark {

namespace {

// While the archiver works off what has piled up. A directory with many names is read seldom.
constexpr int kShortPollMs = 100;
constexpr int kLongPollMs = 500;
constexpr uint64_t kManyWaiting = 100;
// A few segments, where they are not very small or very large: the archiver has one or two in hand
// while another comes.
constexpr uint64_t kSegmentsBehind = 3;
constexpr uint64_t kLeastBehind = 32 << 20;
constexpr uint64_t kMostBehind = 64 << 20;
constexpr size_t kHistoryLimit = 16 << 20;

}  // namespace

StreamJob::StreamJob(Repository& repository, PushTarget target, StreamRequest request,
                     StreamJobListener& listener, const std::atomic<bool>& synchronous,
                     WakeUp& wake)
    : repository_(repository),
      target_(std::move(target)),
      request_(std::move(request)),
      listener_(listener),
      synchronous_(synchronous),
      wake_(wake),
      archived_(repository, target_, request_.data_directory, request_.timeline),
      contiguity_(repository, target_, archived_),
      tails_(repository, [this](const Error& warning) { listener_.warning(warning); }) {
    status_.timeline = request_.timeline;
}

void StreamJob::run() {
    refuse_overwriting_store(target_.store);
    stream_again(status_, listener_, wake_, [this] { stream_once(); });
}

void StreamJob::tell(StreamState state) {
    status_.state = state;
    listener_.status(status_);
}

ServerIdentity StreamJob::identify(ReplicationConnection& connection) const {
    const ServerIdentity server = connection.identify();
    if (server.system_identifier == target_.system_identifier &&
        server.timeline == request_.timeline)
        return server;
    throw Error(ErrorCode::refused, "WAL streaming is connected to another server",
                "It has system identifier " + std::to_string(server.system_identifier) +
                    " and timeline " + std::to_string(server.timeline) + ", this one " +
                    std::to_string(target_.system_identifier) + " and " +
                    std::to_string(request_.timeline) + ".",
                "pg_ark.wal_conninfo must lead to the server in which it is set.");
}

// What the archiver has done while nothing was streamed. Of a way that had no gap before.
void StreamJob::note_archived(uint64_t first) {
    const Lsn end = first * target_.segment_size;
    if (status_.durable == 0 || end <= status_.durable || !warned_gap_.empty())
        return;
    if (!archived_.is_stored(segment_name({request_.timeline, first - 1}, target_.segment_size)))
        return;
    status_.durable = end;
    status_.stored = std::max(status_.stored, end);
    status_.received = std::max(status_.received, end);
    status_.durable_at = now_micros();
}

// Until the archiver has come close to the segment that the server writes now. `first`: everything
// before that segment is durable. It is the last one, or the one before: under a steady load there
// may always be one that waits.
ServerIdentity StreamJob::wait_for_archiver(ReplicationConnection& connection, uint64_t& first) {
    for (;;) {
        const ServerIdentity server = identify(connection);
        const Archived::Waiting waiting = archived_.waiting(server.flushed);
        status_.waiting = waiting.count;
        first = waiting.first;
        if (first + 1 >= server.flushed / target_.segment_size)
            return server;
        note_archived(first);
        tell(StreamState::catching_up);
        wake_.wait(waiting.count < kManyWaiting ? kShortPollMs : kLongPollMs);
    }
}

// The archiver may be told of a segment's end before IDENTIFY_SYSTEM tells.
bool StreamJob::has_finished(ReplicationConnection& connection, const WalSegment& segment) {
    constexpr int kTries = 20;
    for (int i = 0; i < kTries; ++i) {
        if (identify(connection).flushed / target_.segment_size > segment.number)
            return true;
        wake_.wait(kShortPollMs);
    }
    return false;
}

std::optional<ArchiveGap> StreamJob::find_gap(const TimelineHistory& history, Lsn before) {
    std::optional<ArchiveGap> gap = contiguity_.find_gap(history, before);
    if (gap && gap->segment != warned_gap_) {
        listener_.warning(
            Error(ErrorCode::not_found,
                  "WAL segment \"" + gap->segment + "\" is missing in the repository",
                  "Nothing from " + to_text(gap->begin) +
                      " on can be recovered from the newest backup, and nothing is reported as "
                      "durable.",
                  "Take a full backup; or put the segment into pg_wal if you have it."));
    }
    warned_gap_ = gap ? gap->segment : "";
    return gap;
}

StreamingOptions StreamJob::options(const TimelineHistory& history, Lsn begin) {
    StreamingOptions options;
    options.interval_ms = request_.interval_ms;
    options.synchronous = &synchronous_;
    options.limit = std::clamp(kSegmentsBehind * target_.segment_size, kLeastBehind, kMostBehind);
    options.gives_up_behind = true;
    options.find_gap = [this, history, begin] { return contiguity_.find_gap(history, begin); };
    options.remove_pieces = [this](const std::string& segment) { remove_later(segment); };
    return options;
}

void StreamJob::remove_later(const std::string& segment) {
    cleaner_.run([this, segment] { tails_.remove(target_, segment); });
}

void StreamJob::remove_what_was_left(const WalSegment& before) {
    if (cleans_up_.exchange(true))
        return;
    cleaner_.run([this, before] {
        tails_.remove_old(target_, before);
        cleans_up_ = false;
    });
}

void StreamJob::stream_once() {
    tell(StreamState::catching_up);
    ReplicationConnection connection(request_.conninfo, wake_);
    identify(connection);
    const TimelineHistory history =
        store_histories(target_, request_.timeline, [&](TimelineId timeline) {
            auto content = read_file_if_exists(
                request_.data_directory + "/pg_wal/" + history_name(timeline), kHistoryLimit);
            return content ? content : connection.timeline_history(timeline);
        });
    WalSegment segment{request_.timeline, 0};
    const Lsn flushed = wait_for_archiver(connection, segment.number).flushed;
    const Lsn begin = segment.number * target_.segment_size;
    std::optional<ArchiveGap> gap = find_gap(history, begin);
    const auto chain = adopt_tail(repository_, target_, segment, flushed,
                                  [this](const Error& error) { listener_.warning(error); });
    for (WalSegment next = segment; next.number <= flushed / target_.segment_size; ++next.number) {
        const std::string its_name = segment_name(next, target_.segment_size);
        if (archived_.is_stored(its_name) && !has_finished(connection, next))
            refuse_whole(repository_, target_, its_name, flushed);
    }
    remove_what_was_left(segment);
    TailWriter writer(target_, request_.timeline, history.begin_of(request_.timeline),
                      [this] { wake_.wake(); });
    writer.begin(begin, chain);
    connection.start(begin, request_.timeline);
    listener_.connected(connection.process_id(), request_.timeline, begin);
    Streaming streaming(connection, writer, archived_, listener_, status_, options(history, begin),
                        target_.segment_size, wake_);
    streaming.run(std::move(gap));
}

}  // namespace ark
