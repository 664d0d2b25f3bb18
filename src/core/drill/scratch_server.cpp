#include "core/drill/scratch_server.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/fault.hpp"
#include "core/drill/processes.hpp"
#include "core/drill/server_log.hpp"

namespace ark {

namespace {

constexpr int64_t kSecond = 1000000000LL;
constexpr int64_t kStallNanos = 600 * kSecond;
constexpr int64_t kStopNanos = 600 * kSecond;
constexpr uint64_t kLogTail = 4 << 20;
constexpr int kPauseMillis = 50;

void write_file(const std::string& path, std::string_view text) {
    File file = File::open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
    file.write_all(as_bytes(text));
}

uint64_t size_of(const std::string& path) {
    struct stat st {};
    return ::stat(path.c_str(), &st) == 0 ? static_cast<uint64_t>(st.st_size) : 0;
}

// The last line of postmaster.pid says how far the postmaster is.
bool postmaster_is_ready(const std::string& data_directory) {
    constexpr size_t kLimit = 65536;
    const auto content = read_file_if_exists(data_directory + "/postmaster.pid", kLimit);
    if (!content)
        return false;
    std::string_view text = as_text(*content);
    while (!text.empty() && (text.back() == '\n' || text.back() == ' '))
        text.remove_suffix(1);
    return text.ends_with("\nready");
}

}  // namespace

void throw_unless_of_backup(const ServerEnd& end) {
    const auto words = last_words_of(end.log);
    const std::string detail = words ? "Its last words were: " + words->message : "";
    if (const auto cause = outside_cause_in(end.log)) {
        throw Error(*cause,
                    *cause == ErrorCode::disk_full
                        ? "no space left on device for the scratch server"
                        : "the scratch server ran out of memory",
                    detail, "Make room, or use another scratch directory or less memory.");
    }
    // An assertion or a fault of its own would be told by the server; these come from outside.
    const bool killed = !end.end.status && is_from_outside(end.end.signal);
    if (killed || end.log.find(" was terminated by signal 9") != std::string::npos) {
        throw Error(ErrorCode::unavailable, "the scratch server was killed", detail,
                    "Look for a lack of memory (dmesg), and test again.");
    }
    if (words && words->message.starts_with("could not access file \"") &&
        words->message.find("No such file") != std::string::npos) {
        throw Error(ErrorCode::not_found, "the scratch server misses a library", detail,
                    "Install it on this host, or name other libraries with --library.");
    }
}

ScratchServer::ScratchServer(std::string guard, ServerPrograms programs, ScratchServerPlan plan,
                             const ScratchDirectory& scratch, Watch& watch)
    : guard_(std::move(guard)),
      programs_(std::move(programs)),
      plan_(std::move(plan)),
      scratch_(scratch),
      watch_(watch) {}

void ScratchServer::configure() const {
    write_file(plan_.config_directory + "/postgresql.conf", scratch_config(plan_));
    write_file(plan_.config_directory + "/pg_hba.conf", scratch_hba());
    write_file(plan_.config_directory + "/pg_ident.conf", "");
    write_file(plan_.data_directory + "/postgresql.auto.conf", "");
}

// What the copy's code may have written there would be taken for settings of the server, and for
// the wish to recover once more.
void ScratchServer::forget_recovery() const {
    write_file(plan_.data_directory + "/postgresql.auto.conf", "");
    for (const char* signal : {"/standby.signal", "/recovery.signal"})
        ::unlink((plan_.data_directory + signal).c_str());
}

void ScratchServer::start() {
    if (has_been_ready_)
        forget_recovery();
    log_offset_ = size_of(log_path());
    process_ = std::make_unique<GuardedProcess>(ProgramCall{
        guard_, server_command(programs_.postgres(), plan_), scratch_.path(), log_path()});
    PG_ARK_FAULT_POINT("drill_server_started");
}

std::optional<ServerEnd> ScratchServer::ended() {
    const auto end = process_->poll();
    return end ? std::optional(ServerEnd{*end, log()}) : std::nullopt;
}

std::optional<ServerEnd> ScratchServer::wait_for_end(int millis) {
    const int64_t deadline = monotonic_nanos() + millis * (kSecond / 1000);
    for (;;) {
        auto end = ended();
        if (end || monotonic_nanos() > deadline)
            return end;
        watch_.pause(kPauseMillis);
    }
}

bool ScratchServer::is_ready() const {
    return postmaster_is_ready(plan_.data_directory) &&
           read_control_file(plan_.data_directory).state == ClusterState::in_production;
}

uint64_t ScratchServer::sign_of_life() const {
    return processor_time_in(plan_.data_directory) + size_of(log_path());
}

std::optional<ServerEnd> ScratchServer::wait_until_ready() {
    uint64_t sign = 0;
    int64_t looked_at = 0;
    int64_t alive_at = monotonic_nanos();
    while (!is_ready()) {
        if (auto end = ended())
            return end;
        const int64_t now = monotonic_nanos();
        if (now - looked_at > kSecond) {
            const uint64_t found = sign_of_life();
            if (found != sign)
                alive_at = now;
            sign = found;
            looked_at = now;
        }
        if (now - alive_at > kStallNanos) {
            throw Error(ErrorCode::timeout, "the scratch server does nothing",
                        "It has neither worked nor written anything for ten minutes.");
        }
        watch_.pause(kPauseMillis);
    }
    has_been_ready_ = true;
    return std::nullopt;
}

void ScratchServer::stop() {
    // The process with this number is ours: the guard keeps it until it has reported its end.
    const pid_t postmaster = postmaster_of(plan_.data_directory);
    if (postmaster > 0 && !process_->poll())
        ::kill(postmaster, SIGINT);
    const int64_t deadline = monotonic_nanos() + kStopNanos;
    std::optional<ServerEnd> end;
    while (!(end = ended())) {
        if (monotonic_nanos() > deadline)
            throw Error(ErrorCode::timeout, "the scratch server does not stop");
        watch_.pause(kPauseMillis);
    }
    process_.reset();
    if (end->end.status != 0)
        throw_unless_of_backup(*end);
}

ProgramOutput ScratchServer::run_single_user(const std::string& database,
                                             const std::string& statements) const {
    const std::string input = scratch_.path("statements");
    write_file(input, statements);
    ProgramOutput out =
        run_program(guard_, single_user_command(programs_.postgres(), plan_, database), scratch_,
                    watch_, input);
    ::unlink(input.c_str());
    return out;
}

std::string ScratchServer::log() const {
    const uint64_t size = size_of(log_path());
    const uint64_t begin = std::max(log_offset_, size - std::min(size, kLogTail));
    Bytes bytes(size - std::min(size, begin));
    const File file = File::open(log_path(), O_RDONLY);
    bytes.resize(file.pread_full(bytes, begin));
    return std::string(as_text(bytes));
}

}  // namespace ark
