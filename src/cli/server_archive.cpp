// The role server-archive: the archiver's child. One request at a time, one answer for each.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <new>

#include "cli/child/opening.hpp"
#include "cli/command.hpp"
#include "core/archive/push_ahead.hpp"

namespace ark {

namespace {

// How long a push that is under way may still take when the server has gone. A push that is cut off
// does no harm: the object is there or it is not.
constexpr std::chrono::milliseconds kPatience(500);
// How often a waiting request looks whether the server is still there; an answer does not wait for
// it.
constexpr std::chrono::milliseconds kLookAround(100);

// What RLIMIT_DATA never goes below: a segment's bytes, its compressed bytes, and room to grow.
constexpr uint64_t kSegmentsInMemory = 4;
// For every segment that is compressed so many are in flight: a store far away takes longer to
// answer than compressing does.
constexpr uint64_t kInFlightPerCompressor = 2;
// Besides its compressed bytes, which may be as many as the segment's own.
constexpr uint64_t kMemoryPerThread = 2 << 20;
// Of the limit, in percent: the rest is the program's own.
constexpr uint64_t kShareOfLimit = 85;

PushAheadOptions pool_options(const Opening& opening) {
    const auto jobs = static_cast<uint64_t>(std::max(opening.setting_number("jobs", 2), 1));
    const auto megabytes =
        static_cast<uint64_t>(std::max(opening.setting_number("memory_limit_mb", 512), 0));
    const uint64_t segment = opening.cluster.wal_segment_size;
    const uint64_t room = (megabytes << 20) * kShareOfLimit / 100;
    const uint64_t each = segment + kMemoryPerThread;
    PushAheadOptions options;
    options.data_directory = opening.cluster.data_directory;
    options.compressors = jobs;
    options.threads = kInFlightPerCompressor * jobs;
    if (megabytes == 0)
        return options;
    // Half of the room for those that are compressed, at most.
    options.compressors = std::clamp<uint64_t>(room / (2 * each), 1, jobs);
    const uint64_t left = room - std::min(room, options.compressors * segment);
    options.threads = std::clamp<uint64_t>(left / each, 1, options.threads);
    options.compressors = std::min(options.compressors, options.threads);
    return options;
}

PushTarget target_of(const Opening& opening) {
    return {opening.repository->store(),
            opening.cluster_name(),
            opening.cluster.system_identifier,
            opening.cluster.wal_segment_size,
            opening.setting_number("compression_level", 3),
            make_writer(opening.cluster.data_directory),
            opening.repository.get()};
}

const char* word_for(PushResult result) {
    switch (result) {
        case PushResult::stored:
            return "stored";
        case PushResult::present:
            return "present";
        case PushResult::ignored:
            break;
    }
    return "ignored";
}

class ArchiveConversation {
 public:
    ArchiveConversation(Channel& channel, const Opening& opening)
        : channel_(channel),
          data_directory_(opening.cluster.data_directory),
          pool_(target_of(opening), pool_options(opening)) {}

    void run() {
        while (const std::optional<Message> message = channel_.receive()) {
            try {
                answer(*message);
            } catch (const std::bad_alloc&) {
                channel_.send(message_of(
                    "error", Error(ErrorCode::out_of_memory, "out of memory",
                                   "Archiving a WAL segment takes up to four times its size.",
                                   "Raise pg_ark.memory_limit.")));
            } catch (const Error& error) {
                if (error.code == ErrorCode::cancelled)
                    throw;
                channel_.send(message_of("error", error));
            }
        }
    }

    bool stop() { return pool_.stop(kPatience); }

 private:
    void answer(const Message& message) {
        if (message.verb() != "push") {
            throw Error(ErrorCode::protocol_violation,
                        "unexpected message \"" + message.verb() + "\"");
        }
        const std::string name = message.token("name");
        pool_.start(name, absolute(message.text("path")));
        std::optional<PushResult> result;
        while (!result) {
            result = pool_.wait(kLookAround);
            if (!result)
                channel_.wait(0);
        }
        Message reply("pushed");
        channel_.send(reply.add_token("name", name)
                          .add_number("ahead", pool_.ahead())
                          .add_token("result", word_for(*result)));
    }

    std::string absolute(const std::string& path) const {
        return path.starts_with('/') ? path : data_directory_ + "/" + path;
    }

    Channel& channel_;
    const std::string data_directory_;
    PushAhead pool_;
};

}  // namespace

int run_server_archive() {
    become_child();
    Channel channel;
    const std::optional<Opening> opening = open_conversation(channel, kSegmentsInMemory);
    if (!opening)
        return 0;
    ArchiveConversation conversation(channel, *opening);
    int status = 0;
    try {
        conversation.run();
    } catch (const Error& error) {
        status = 1;
        if (error.code != ErrorCode::cancelled)
            print_error(error, OutputFormat::text);
    }
    // Threads inside the store cannot be called off, and the server's shutdown must not wait for
    // them.
    if (!conversation.stop())
        _exit(status);
    return status;
}

}  // namespace ark
