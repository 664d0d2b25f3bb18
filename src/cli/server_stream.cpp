// The role server-stream: the child of the wal worker. One thread talks to the server module,
// another streams; what hangs in the store holds up neither the module nor the end.

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <new>
#include <optional>
#include <thread>
#include <utility>

#include "cli/child/opening.hpp"
#include "cli/command.hpp"
#include "core/base/clock.hpp"
#include "core/stream/stream_job.hpp"

namespace ark {

namespace {

// The server's shutdown waits for this process.
constexpr std::chrono::milliseconds kPatience(300);
constexpr int kTurnMillis = 100;
constexpr int64_t kPositionNanos = 10 * 1000000000LL;
// Commits wait for the answer: the error is told early, and then it is tried again without end.
constexpr int kRetrySeconds = 30;
// What RLIMIT_DATA never goes below: the pieces of a segment that are read again, what has come and
// is not sent, and what is on its way.
constexpr uint64_t kSegmentsInMemory = 5;

Message position_of(const StreamStatus& status) {
    Message message("position");
    message.add_token("state", name_of(status.state))
        .add_token("durable", to_text(status.durable))
        .add_token("received", to_text(status.received))
        .add_number("timeline", status.timeline)
        .add_number("durable_at", static_cast<uint64_t>(status.durable_at))
        .add_number("pieces", status.pieces)
        .add_number("segments", status.segments)
        .add_number("retries", status.retries)
        .add_number("waiting", status.waiting);
    if (!status.missing.empty())
        message.add_token("missing", status.missing);
    return message;
}

// What the streaming thread has to say, until the other one has time to send it.
class Mailbox final : public StreamJobListener {
 public:
    void connected(int process_id, TimelineId timeline, Lsn start) override {
        Message message("connected");
        post(message.add_number("pid", static_cast<uint64_t>(process_id))
                 .add_number("timeline", timeline)
                 .add_token("start", to_text(start)));
    }
    void warning(const Error& warning) override { post(message_of("warning", warning)); }
    void failed(const Error& error) override {
        Error told = error;
        told.retryable = true;  // so the module knows that the child goes on
        post(message_of("error", told));
    }
    void status(const StreamStatus& status) override {
        const std::lock_guard lock(mutex_);
        status_ = status;
    }
    /// The thread's last words; none where it was asked to end.
    void ended(const std::optional<Error>& error) {
        const std::lock_guard lock(mutex_);
        if (error)
            messages_.push_back(message_of("error", *error));
        ended_ = true;
        changed_.notify_all();
    }

    /// Sends what is new. False when the thread has ended.
    bool send(Channel& channel) {
        std::deque<Message> messages;
        bool goes_on = true;
        {
            const std::lock_guard lock(mutex_);
            messages.swap(messages_);
            goes_on = !ended_;
            if (status_) {
                const int64_t now = monotonic_nanos();
                const Message position = position_of(*status_);
                if (position.format() != told_ || now >= next_) {
                    told_ = position.format();
                    next_ = now + kPositionNanos;
                    messages.push_back(position);
                }
            }
        }
        for (const Message& message : messages)
            channel.send(message);
        return goes_on;
    }
    bool wait_for_end(std::chrono::milliseconds patience) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, patience, [this] { return ended_; });
    }

 private:
    void post(const Message& message) {
        const std::lock_guard lock(mutex_);
        messages_.push_back(message);
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    // All below under mutex_.
    std::deque<Message> messages_;
    std::optional<StreamStatus> status_;
    std::string told_;
    int64_t next_ = 0;
    bool ended_ = false;
};

class StreamConversation {
 public:
    StreamConversation(Channel& channel, const Opening& opening)
        : channel_(channel), opening_(opening) {}

    /// The exit status.
    int run() {
        const std::optional<Message> message = channel_.receive();
        if (!message)
            return 0;
        if (message->verb() != "stream") {
            channel_.send(
                message_of("error", Error(ErrorCode::protocol_violation,
                                          "unexpected message \"" + message->verb() + "\"")));
            return 1;
        }
        StreamRequest request;
        request.data_directory = opening_.cluster.data_directory;
        request.conninfo = message->text("conninfo");
        request.timeline = static_cast<TimelineId>(message->number("timeline"));
        request.interval_ms = static_cast<int64_t>(message->number("interval_ms"));
        thread_ = std::thread([this, request] { stream(request); });
        while (mailbox_.send(channel_)) {
            if (channel_.wait(kTurnMillis))
                set_mode();
        }
        return 1;
    }

    /// True when nothing is under way any more.
    bool stop() {
        wake_.stop();
        if (!thread_.joinable())
            return true;
        if (!mailbox_.wait_for_end(kPatience))
            return false;
        thread_.join();
        return true;
    }

 private:
    void set_mode() {
        const std::optional<Message> message = channel_.receive();
        if (!message || message->verb() != "mode")
            return;  // a later module may say more
        synchronous_ = message->number("sync") != 0;
        wake_.wake();
    }

    void stream(const StreamRequest& request) {
        std::optional<Error> failure;
        try {
            const PushTarget target{opening_.repository->store(),
                                    opening_.cluster_name(),
                                    opening_.cluster.system_identifier,
                                    opening_.cluster.wal_segment_size,
                                    opening_.setting_number("compression_level", 3),
                                    make_writer(opening_.cluster.data_directory)};
            StreamJob(*opening_.repository, target, request, mailbox_, synchronous_, wake_).run();
        } catch (const Error& error) {
            if (error.code != ErrorCode::cancelled)
                failure = error;
        } catch (const std::bad_alloc&) {
            failure =
                Error(ErrorCode::out_of_memory, "out of memory", {}, "Raise pg_ark.memory_limit.");
        } catch (const std::exception& error) {
            failure = Error(ErrorCode::internal, error.what());
        }
        mailbox_.ended(failure);
    }

    Channel& channel_;
    const Opening& opening_;
    Mailbox mailbox_;
    std::atomic<bool> synchronous_ = false;
    WakeUp wake_;
    std::thread thread_;
};

}  // namespace

int run_server_stream() {
    become_child();
    Channel channel;
    const std::optional<Opening> opening =
        open_conversation(channel, kSegmentsInMemory, nullptr, kRetrySeconds);
    if (!opening)
        return 0;
    StreamConversation conversation(channel, *opening);
    int status = 0;
    try {
        status = conversation.run();
    } catch (const Error& error) {
        if (error.code != ErrorCode::cancelled) {
            print_error(error, OutputFormat::text);
            status = 1;
        }
    }
    // A thread inside the store cannot be called off, and the server's shutdown must not wait.
    if (!conversation.stop())
        _exit(status);
    return status;
}

}  // namespace ark
