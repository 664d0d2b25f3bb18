#include "core/stream/receive_job.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "core/archive/wal_source.hpp"
#include "core/base/error.hpp"
#include "core/repo/marker.hpp"
#include "core/stream/adoption.hpp"
#include "core/stream/histories.hpp"
#include "core/stream/received_segments.hpp"

namespace ark {

namespace {

// What has come and is in no piece yet.
constexpr uint64_t kLimit = 64 << 20;

// Where the newest backup on this way begins.
std::optional<Lsn> newest_backup(Repository& repository, const std::string& cluster,
                                 const TimelineHistory& history) {
    std::optional<Lsn> newest;
    for (const std::string& id : repository.store().list_parts(cluster + "/backup")) {
        try {
            const auto backup = outline_backup(repository, cluster, id);
            if (backup && history.contains_range(backup->range.timeline, backup->range.start,
                                                 backup->range.stop))
                newest = std::max(newest.value_or(0), backup->range.start);
        } catch (const Error& error) {
            // Verification is who tells of bad ones.
            if (error.retryable)
                throw;
        }
    }
    return newest;
}

bool is_stored(const PushTarget& target, const std::string& segment) {
    return target.store.head(target.cluster + "/" + place::segment(segment)).has_value();
}

// The timeline whose file of this segment holds all that the way has of it.
TimelineId timeline_of(const TimelineHistory& history, uint64_t number, uint64_t segment_size) {
    return history.timeline_at((number + 1) * segment_size - 1);
}

Error removed(const std::string& segment, const Error& error) {
    return {
        ErrorCode::refused,
        "the server does not have WAL segment \"" + segment +
            "\" any more, which the repository lacks",
        error.detail.empty() ? error.message : error.detail,
        "Store it with the server's own archiver, or take a full backup and run wal-receive "
        "again: it goes on from the newest backup. A larger wal_keep_size keeps WAL for as long "
        "as a receiver is away."};
}

}  // namespace

ReceiveJob::ReceiveJob(Repository& repository, ReceiveRequest request, StreamJobListener& listener,
                       WakeUp& wake)
    : repository_(repository),
      request_(std::move(request)),
      listener_(listener),
      wake_(wake),
      synchronous_(request_.synchronous),
      tails_(repository, [this](const Error& warning) { listener_.warning(warning); }) {}

void ReceiveJob::run() {
    refuse_overwriting_store(repository_.store());
    stream_again(status_, listener_, wake_, [this] { receive_once(); });
}

PushTarget ReceiveJob::target_for(ReplicationConnection& connection, const ServerIdentity& server) {
    if (system_identifier_ != 0 && system_identifier_ != server.system_identifier) {
        throw Error(ErrorCode::refused, "the connection leads to another cluster now",
                    "It has system identifier " + std::to_string(server.system_identifier) +
                        ", the one before had " + std::to_string(system_identifier_) + ".");
    }
    const std::string cluster =
        request_.cluster.empty() ? std::to_string(server.system_identifier) : request_.cluster;
    if (system_identifier_ == 0 && request_.prepare)
        request_.prepare(repository_, cluster);
    system_identifier_ = server.system_identifier;
    return {repository_.store(),
            cluster,
            server.system_identifier,
            connection.segment_size(),
            request_.compression_level,
            make_writer(""),
            &repository_};
}

// The first segment on the way that the repository lacks: from the newest backup on, which needs
// all of them; else behind the newest that is there; else the one that is being written.
uint64_t ReceiveJob::first_wanted(const PushTarget& target, const TimelineHistory& history,
                                  Lsn flushed) const {
    const uint64_t size = target.segment_size;
    uint64_t number = flushed / size;
    if (resume_ && history.contains(resume_->timeline)) {
        number = std::min(resume_->lsn, history.end_of(resume_->timeline)) / size;
    } else {
        const auto backup = newest_backup(repository_, target.cluster, history);
        RepositoryWal wal(repository_, target.cluster, size, history);
        const std::set<uint64_t> listed = wal.listed(backup.value_or(0) / size);
        if (backup) {
            number = *backup / size;
            while (listed.contains(number))
                ++number;
        } else if (!listed.empty()) {
            number = *listed.rbegin() + 1;
        }
    }
    // A listing may lag; and the server's own archiver may have been faster than we.
    while (number < flushed / size &&
           is_stored(target, segment_name({timeline_of(history, number, size), number}, size)))
        ++number;
    return number;
}

void ReceiveJob::receive_once() {
    status_.state = StreamState::catching_up;
    listener_.status(status_);
    ReplicationConnection connection(request_.conninfo, wake_);
    const ServerIdentity server = connection.identify();
    const PushTarget target = target_for(connection, server);
    const TimelineHistory history =
        store_histories(target, server.timeline,
                        [&](TimelineId timeline) { return connection.timeline_history(timeline); });
    const uint64_t number = first_wanted(target, history, server.flushed);
    const WalSegment segment{timeline_of(history, number, target.segment_size), number};
    const Lsn end = std::min(server.flushed, history.end_of(segment.timeline));
    if (number * target.segment_size > end) {
        const WalSegment last{segment.timeline, number - 1};
        refuse_whole(repository_, target, segment_name(last, target.segment_size), end);
    }
    try {
        stream(connection, target, history, segment, end);
    } catch (const Error& error) {
        if (error.code != ErrorCode::not_found)
            throw;
        const uint64_t missing = resume_ ? resume_->lsn / target.segment_size : number;
        throw removed(segment_name({segment.timeline, missing}, target.segment_size), error);
    }
}

StreamingOptions ReceiveJob::options(const PushTarget& target) {
    StreamingOptions options;
    options.interval_ms = request_.interval_ms;
    options.synchronous = &synchronous_;
    options.limit = kLimit;
    options.remove_pieces = [this, target](const std::string& name) {
        tails_.remove(target, name);
    };
    return options;
}

void ReceiveJob::stream(ReplicationConnection& connection, const PushTarget& target,
                        const TimelineHistory& history, const WalSegment& segment, Lsn server_end) {
    const auto chain = adopt_tail(repository_, target, segment, server_end,
                                  [this](const Error& error) { listener_.warning(error); });
    tails_.remove_old(target, segment);
    const Lsn begin = segment.number * target.segment_size;
    ReceivedSegments wholes(target, segment.timeline);
    TailWriter writer(target, segment.timeline, history.begin_of(segment.timeline),
                      [this] { wake_.wake(); });
    writer.begin(begin, chain);
    connection.start(begin, segment.timeline);
    listener_.connected(connection.process_id(), segment.timeline, begin);
    if (status_.timeline != segment.timeline)
        status_.durable = 0;
    status_.timeline = segment.timeline;
    Streaming streaming(connection, writer, wholes, listener_, status_, options(target),
                        target.segment_size, wake_);
    // What is durable in pieces alone is yet to become a whole.
    const auto note_end = [&] {
        const uint64_t size = target.segment_size;
        const uint64_t wanted = writer.received() / size - streaming.unfinished();
        resume_ = {segment.timeline, std::min(writer.durable(), wanted * size)};
    };
    try {
        streaming.run(std::nullopt);
        note_end();
    } catch (const Error&) {
        note_end();
        throw;
    }
}

}  // namespace ark
