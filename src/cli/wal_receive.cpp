// pg_ark wal-receive: receives a server's WAL from another host, until it is told to end.

#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "cli/command.hpp"
#include "cli/command_audit.hpp"
#include "cli/interrupts.hpp"
#include "core/base/clock.hpp"
#include "core/repo/cluster_keys.hpp"
#include "core/repo/json_text.hpp"
#include "core/repo/stored_keyring.hpp"
#include "core/stream/receive_job.hpp"

namespace ark {

namespace {

constexpr std::chrono::milliseconds kTurn(100);
// Longer than a store takes that answers at all.
constexpr std::chrono::milliseconds kPatience(6000);
constexpr int64_t kPositionNanos = 1000000000LL;
constexpr size_t kMaxRecipientsText = 64 * 1024;

struct WalReceiveOptions {
    RepositoryOptions repository;
    ReceiveRequest request;
    std::vector<std::string> recipient_files;  ///< --recipient-file
};

// Whoever encrypts the cluster's backups would not want its WAL beside them as it is.
void prepare_cluster(Repository& repository, const std::string& cluster,
                     const EncryptionWish& wish) {
    if (!wish.encrypts && find_keyring(repository.store(), cluster)) {
        throw Error(ErrorCode::refused, "cluster \"" + cluster + "\" is encrypted",
                    "It has encryption keys, and this command was given none.",
                    "Use --key-file or --key-command; or --recipient-file on a host that shall not "
                    "read.");
    }
    prepare_encryption(repository, cluster, wish);
}

EncryptionWish wish_of(const WalReceiveOptions& options) {
    EncryptionWish wish;
    // A recipient that was named counts, whatever the environment says of keys.
    if (options.recipient_files.empty())
        wish.source = options.repository.key.source();
    for (const std::string& file : options.recipient_files) {
        const SecretBytes text =
            read_secret_file(std::filesystem::absolute(file).string(), kMaxRecipientsText);
        wish.recipients += std::string(reinterpret_cast<const char*>(text.data()), text.size());
        wish.recipients += '\n';
    }
    wish.encrypts = wish.source.is_given() || !wish.recipients.empty();
    return wish;
}

// Tells of everything as it comes: in words to standard error, as JSON a line to standard output.
class Reporter final : public StreamJobListener {
 public:
    explicit Reporter(OutputFormat output) : output_(output) {}

    void connected(int /*process_id*/, TimelineId timeline, Lsn start) override {
        if (output_ == OutputFormat::json) {
            print({{"event", "connected"}, {"timeline", timeline}, {"start", to_text(start)}});
            return;
        }
        std::fprintf(stderr, "pg_ark: receiving WAL of timeline %u from %s on\n", timeline,
                     to_text(start).c_str());
    }
    void warning(const Error& warning) override { tell("warning", warning, ""); }
    void failed(const Error& error) override { tell("error", error, "; trying again"); }
    void status(const StreamStatus& status) override {
        const int64_t now = monotonic_nanos();
        if (output_ != OutputFormat::json || now < next_ || status.state == StreamState::retrying)
            return;
        const nlohmann::json position{{"event", "position"},
                                      {"timeline", status.timeline},
                                      {"received", to_text(status.received)},
                                      {"durable", to_text(status.durable)},
                                      {"pieces", status.pieces},
                                      {"segments", status.segments}};
        if (position == last_)
            return;
        print(position);
        last_ = position;
        next_ = now + kPositionNanos;
    }

 private:
    static void print(const nlohmann::json& object) {
        std::printf("%s\n", object.dump().c_str());
        std::fflush(stdout);
    }
    void tell(const char* event, const Error& error, const char* then) const {
        if (output_ == OutputFormat::json) {
            print({{"event", event},
                   {"code", name_of(error.code)},
                   {"message", json_of_text(error.message)},
                   {"detail", json_of_text(error.detail)},
                   {"hint", json_of_text(error.hint)}});
        }
        std::fprintf(stderr, "pg_ark: %s: %s%s\n", event, error.message.c_str(), then);
        if (!error.detail.empty())
            std::fprintf(stderr, "DETAIL:  %s\n", error.detail.c_str());
        if (!error.hint.empty())
            std::fprintf(stderr, "HINT:  %s\n", error.hint.c_str());
    }

    const OutputFormat output_;
    nlohmann::json last_;
    int64_t next_ = 0;
};

// The job in a thread of its own: a store that hangs does not keep the command from ending.
class Receiver {
 public:
    Receiver(const WalReceiveOptions& options, std::unique_ptr<Repository> repository)
        : repository_(std::move(repository)),
          reporter_(options.repository.output),
          job_(*repository_, options.request, reporter_, wake_),
          thread_([this] { run(); }) {}

    bool wait(std::chrono::milliseconds time) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, time, [this] { return ended_; });
    }
    void stop() { wake_.stop(); }
    /// Once it has ended. Error: what ended it.
    void finish() {
        thread_.join();
        if (failure_ && failure_->code != ErrorCode::cancelled)
            throw Error(*failure_);
    }

 private:
    void run() {
        std::optional<Error> failure;
        try {
            job_.run();
        } catch (const Error& error) {
            failure = error;
        } catch (const std::exception& error) {
            failure = Error(ErrorCode::internal, error.what());
        }
        const std::lock_guard lock(mutex_);
        failure_ = std::move(failure);
        ended_ = true;
        changed_.notify_all();
    }

    std::unique_ptr<Repository> repository_;
    Reporter reporter_;
    WakeUp wake_;
    ReceiveJob job_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool ended_ = false;            ///< under the lock
    std::optional<Error> failure_;  ///< under the lock
    std::thread thread_;            ///< last: it uses all the others
};

void run(WalReceiveOptions& options) {
    check_conninfo(options.request.conninfo);
    options.request.prepare = [wish = wish_of(options), &options](Repository& repository,
                                                                  const std::string& cluster) {
        prepare_cluster(repository, cluster, wish);
        CommandAudit(CommandActor(), options.repository, repository, cluster,
                     {"wal-receive", "", ""})
            .add("accepted");
    };
    StoreOptions store;
    store.retry_timeout = options.repository.retry_timeout;
    auto receiver = std::make_unique<Receiver>(
        options, Repository::open(required_repo(options.repository), OpenMode::write, store));
    catch_interrupts();
    while (!receiver->wait(kTurn) && !was_interrupted()) {
    }
    receiver->stop();
    // What is on its way is there or not; it is found at the next start.
    if (!receiver->wait(kPatience))
        _exit(0);
    receiver->finish();
}

}  // namespace

void add_wal_receive_command(const CommandContext& context) {
    CLI::App* command = context.app.add_subcommand(
        "wal-receive", "Receive a server's WAL from another host and store it as it is written.");
    const auto options = std::make_shared<WalReceiveOptions>();
    ReceiveRequest& request = options->request;
    options->repository.retry_timeout = 30;
    add_repo_option(*command, options->repository);
    command
        ->add_option("--conninfo", request.conninfo,
                     "how to connect to the server, as libpq takes it; the role needs REPLICATION")
        ->required()
        ->option_text("STRING");
    command
        ->add_option("--cluster", request.cluster,
                     "the cluster's directory in the repository (default: its system identifier)")
        ->option_text("ID");
    command
        ->add_option("--interval", request.interval_ms,
                     "milliseconds after which WAL is stored at the latest (default 1000)")
        ->check(CLI::Range(100, 3600000))
        ->option_text("MS");
    command->add_flag(
        "--synchronous", request.synchronous,
        "store WAL at once: where the server's synchronous_standby_names names pg_ark");
    command->add_option("--compression-level", request.compression_level, "of zstd (default 3)")
        ->check(CLI::Range(1, 19))
        ->option_text("LEVEL");
    add_key_source_options(*command, options->repository.key);
    command
        ->add_option(
            "--recipient-file", options->recipient_files,
            "encrypt for whom this file names (pg_ark key export-recipient), on a host that "
            "shall not read; repeat for each")
        ->allow_extra_args(false)
        ->option_text("FILE");
    add_retry_option(*command, options->repository);
    add_audit_option(*command, options->repository);
    add_output_option(*command, options->repository.output);
    command->footer(
        "Ends with status 0 at SIGINT or SIGTERM. Makes no replication slot.\n"
        "Examples:\n"
        "  pg_ark wal-receive --repo file:///srv/ark --conninfo 'host=db1 user=ark'\n"
        "  pg_ark wal-receive --repo s3://bucket/ark --conninfo 'host=db1 user=ark' --output json");
    command->callback([options, context] {
        context.output = options->repository.output;
        run(*options);
        context.status = 0;
    });
}

}  // namespace ark
