#include "core/stream/streaming.hpp"

#include <algorithm>
#include <utility>

#include "core/base/error.hpp"

namespace ark {

namespace {

constexpr int64_t kMilli = 1000000;
// The server asks after half of wal_sender_timeout; it hears of us long before, whatever the store
// does.
constexpr int64_t kReplyNanos = 1000 * kMilli;
constexpr int64_t kQuestionNanos = 100 * kMilli;
constexpr int64_t kLookNanos = 10000 * kMilli;
// Messages are at most 128 kB: after so many everything else has its turn.
constexpr int kBatch = 16;
// Finished segments that are durable in pieces alone, at most: an archiver that stands still is no
// reason to fill the store with small objects.
constexpr size_t kFinishedInPieces = 3;

}  // namespace

const char* name_of(StreamState state) noexcept {
    switch (state) {
        case StreamState::catching_up:
            return "catching_up";
        case StreamState::streaming:
            return "streaming";
        case StreamState::gap:
            return "gap";
        case StreamState::retrying:
            break;
    }
    return "retrying";
}

Streaming::Streaming(WalStream& stream, TailWriter& writer, WholeSegments& wholes,
                     StreamListener& listener, StreamStatus& status, StreamingOptions options,
                     uint64_t segment_size, WakeUp& wake)
    : stream_(stream),
      writer_(writer),
      wholes_(wholes),
      listener_(listener),
      status_(status),
      options_(std::move(options)),
      segment_size_(segment_size),
      wake_(wake),
      pieces_before_(status.pieces) {}

Streaming::End Streaming::run(std::optional<ArchiveGap> gap) {
    gap_ = std::move(gap);
    next_look_ = monotonic_nanos() + kLookNanos;
    for (;;) {
        const bool more = receive();
        writer_.collect();
        take_answers();
        const int64_t now = monotonic_nanos();
        follow_segments(now);
        cut(now);
        look_for_gap(now);
        acknowledge(now);
        tell();
        if (ended_ && writer_.durable() == writer_.received() && finished_.empty())
            return End::end_of_timeline;
        if (options_.gives_up_behind && !synchronous() && writer_.uncut() >= options_.limit)
            return End::behind;
        if (ended_) {
            wake_.wait(pause(now));
        } else if (!more) {
            stream_.wait(pause(now), may_read());
        } else {
            wake_.check();
        }
    }
}

bool Streaming::may_read() const {
    return !ended_ && writer_.uncut() < options_.limit && !wholes_.is_full();
}

// True when there may be more.
bool Streaming::receive() {
    for (int i = 0; i < kBatch && may_read(); ++i) {
        const std::optional<StreamMessage> message = stream_.receive();
        if (!message)
            return false;
        take(*message);
    }
    return may_read();
}

void Streaming::take(const StreamMessage& message) {
    if (message.kind == StreamMessage::Kind::end_of_timeline) {
        ended_ = true;
        next_ = message.next;
        return;
    }
    reply_ = reply_ || message.wants_reply;
    if (message.kind != StreamMessage::Kind::wal)
        return;
    const Lsn before = writer_.received();
    if (message.begin != before) {
        throw Error(ErrorCode::protocol_violation, "the server sent WAL from " +
                                                       to_text(message.begin) + " on, where " +
                                                       to_text(before) + " follows");
    }
    writer_.append(message.bytes);
    wholes_.take(before, message.bytes);
    for (uint64_t number = before / segment_size_; number < writer_.received() / segment_size_;
         ++number) {
        finished_.push_back(number);
    }
}

void Streaming::cut(int64_t now) {
    if (synchronous() || ended_) {
        due_ = 0;
        while (finished_.size() <= kFinishedInPieces && writer_.cut(CutRule::everything)) {
        }
        return;
    }
    const Lsn received = writer_.received();
    const Lsn oldest = std::max(writer_.cut_to(), received - received % segment_size_);
    if (oldest == received) {
        due_ = 0;
        return;
    }
    if (due_ == 0 || oldest != due_begin_) {
        due_begin_ = oldest;
        due_ = now + options_.interval_ms * kMilli;
        return;
    }
    // Large segments fill the memory before the interval is over.
    const bool is_pressing =
        writer_.uncut() >= options_.limit / 2 && segment_size_ > options_.limit / 2;
    // Where there is no room on the way now, the rest follows as soon as there is.
    while ((is_pressing || now >= due_) && writer_.cut(CutRule::unfinished))
        due_begin_ = writer_.cut_to();
}

// What `task` throws ends the stream.
template <typename Task>
void Streaming::in_background(Task task) {
    background_.run([this, task] {
        try {
            task();
        } catch (...) {
            const std::lock_guard lock(mutex_);
            failure_ = std::current_exception();
        }
        wake_.wake();
    });
}

void Streaming::follow_segments(int64_t now) {
    if (!finished_.empty() && !asking_ && now >= next_question_) {
        asking_ = true;
        in_background([this, number = finished_.front()] {
            const bool durable = wholes_.is_durable(number);
            const std::lock_guard lock(mutex_);
            answer_ = durable;
        });
    }
    if (to_clean_.empty() ||
        writer_.is_on_its_way_before((to_clean_.front() + 1) * segment_size_)) {
        return;
    }
    const std::string segment = segment_name({status_.timeline, to_clean_.front()}, segment_size_);
    to_clean_.pop_front();
    if (!options_.remove_pieces)
        return;
    in_background([this, segment] {
        try {
            options_.remove_pieces(segment);
        } catch (const Error&) {
            // They are looked for again at the next start; nobody reads them any more.
        }
    });
}

void Streaming::take_answers() {
    std::optional<bool> answer;
    std::optional<std::optional<ArchiveGap>> look;
    {
        const std::lock_guard lock(mutex_);
        if (failure_)
            std::rethrow_exception(failure_);
        answer.swap(answer_);
        look.swap(look_result_);
    }
    if (look) {
        looking_ = false;
        next_look_ = monotonic_nanos() + kLookNanos;
        gap_ = std::move(*look);
    }
    if (!answer)
        return;
    asking_ = false;
    next_question_ = monotonic_nanos() + kQuestionNanos;
    if (!*answer)
        return;
    const uint64_t number = finished_.front();
    finished_.pop_front();
    next_question_ = 0;
    ++status_.segments;
    if (writer_.has_pieces(number))
        to_clean_.push_back(number);
    writer_.whole_is_durable(number);
}

void Streaming::look_for_gap(int64_t now) {
    if (!gap_ || looking_ || now < next_look_ || !options_.find_gap)
        return;
    looking_ = true;
    in_background([this] {
        std::optional<ArchiveGap> gap = options_.find_gap();
        const std::lock_guard lock(mutex_);
        look_result_ = std::move(gap);
    });
}

// What lies behind a hole can't be recovered, so it is not called durable.
Lsn Streaming::acknowledged() const {
    return gap_ ? std::min(gap_->begin, writer_.durable()) : writer_.durable();
}

void Streaming::acknowledge(int64_t now) {
    const Lsn durable = acknowledged();
    status_.stored = std::max(status_.stored, writer_.durable());
    if (gap_) {
        status_.durable = durable;
    } else if (durable > status_.durable) {
        status_.durable = durable;
        status_.durable_at = now_micros();
    }
    if (ended_ || (durable == told_ && !reply_ && now < next_reply_))
        return;
    stream_.send_status(durable);
    told_ = durable;
    reply_ = false;
    next_reply_ = now + kReplyNanos;
}

void Streaming::tell() {
    status_.state = gap_ ? StreamState::gap : StreamState::streaming;
    status_.missing = gap_ ? gap_->segment : "";
    status_.received = writer_.received();
    status_.pieces = pieces_before_ + writer_.pieces();
    status_.waiting = finished_.size();
    listener_.status(status_);
}

// Milliseconds until something is to be done without being woken.
int Streaming::pause(int64_t now) const {
    int64_t next = next_reply_;
    if (due_ > now)
        next = std::min(next, due_);
    if (!finished_.empty() && !asking_)
        next = std::min(next, next_question_);
    return static_cast<int>(std::clamp<int64_t>((next - now + kMilli - 1) / kMilli, 1, 1000));
}

}  // namespace ark
