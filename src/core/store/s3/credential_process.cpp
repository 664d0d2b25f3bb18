#include "core/store/s3/credential_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <initializer_list>
#include <optional>
#include <utility>

#include "core/base/cancellation.hpp"
#include "core/base/clock.hpp"
#include "core/base/file.hpp"
#include "core/store/s3/credential_answers.hpp"

namespace ark {

namespace {

constexpr size_t kMaxOutput = 64 * 1024;
constexpr int kSliceMillis = 100;
constexpr int kNoProgram = 127;

Error failed(ErrorCode code, const std::string& profile, const std::string& why) {
    return {code, "credential_process of AWS profile \"" + profile + "\" gave no credentials", why,
            "Run the command by hand as the user of the server."};
}

// Between fork and exec: only what a process with threads may do there.
[[noreturn]] void become(char* const* arguments, int output) {
    ::setsid();
    const int nothing = ::open("/dev/null", O_RDWR);
    ::dup2(nothing, STDIN_FILENO);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(nothing, STDERR_FILENO);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    for (const int number : {SIGPIPE, SIGTERM, SIGINT, SIGHUP, SIGQUIT})
        ::signal(number, SIG_DFL);
    // Our own limit is not meant for it.
    rlimit memory{};
    ::getrlimit(RLIMIT_DATA, &memory);
    memory.rlim_cur = memory.rlim_max;
    ::setrlimit(RLIMIT_DATA, &memory);
    ::execvp(arguments[0], arguments);
    ::_exit(kNoProgram);
}

/// The program in a session of its own, so that what it starts ends with it.
class Program {
 public:
    Program(std::vector<std::string> words, int output) {
        std::vector<char*> arguments;
        arguments.reserve(words.size() + 1);
        for (std::string& word : words)
            arguments.push_back(word.data());
        arguments.push_back(nullptr);
        pid_ = ::fork();
        if (pid_ == 0)
            become(arguments.data(), output);
        if (pid_ < 0)
            throw system_error(errno, "could not start a process");
    }
    ~Program() {
        if (pid_ > 0) {
            ::kill(-pid_, SIGKILL);
            ::kill(pid_, SIGKILL);
            wait();
        }
    }
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;

    /// nullopt while it runs.
    std::optional<int> ended() {
        int status = 0;
        if (::waitpid(pid_, &status, WNOHANG) != pid_)
            return std::nullopt;
        pid_ = -1;
        return status;
    }

 private:
    void wait() const {
        while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
        }
    }
    pid_t pid_ = -1;
};

// True at the end of what it writes.
bool read_some(const File& input, std::string& text) {
    pollfd readable{input.fd(), POLLIN, 0};
    if (::poll(&readable, 1, kSliceMillis) <= 0)
        return false;
    std::array<char, 4096> buffer{};
    const ssize_t n = ::read(input.fd(), buffer.data(), buffer.size());
    if (n > 0)
        text.append(buffer.data(), static_cast<size_t>(n));
    return n == 0;
}

std::string output_of(const std::string& command, const std::string& profile, double timeout) {
    std::vector<std::string> words = split_command(command);
    if (words.empty())
        throw failed(ErrorCode::invalid_argument, profile, "It names no program.");
    const std::string program = words[0];
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        throw system_error(errno, "could not make a pipe");
    const File input(ends[0], "pipe");
    File output(ends[1], "pipe");
    Program running(std::move(words), output.fd());
    output.close();
    const int64_t until = monotonic_nanos() + static_cast<int64_t>(timeout * 1e9);
    std::string text;
    std::optional<int> status;
    bool closed = false;
    while (!closed || !status) {
        if (!closed)
            closed = read_some(input, text);
        else
            ::poll(nullptr, 0, kSliceMillis / 10);
        if (!status)
            status = running.ended();
        if (text.size() > kMaxOutput)
            throw failed(ErrorCode::permission_denied, profile, "It writes without an end.");
        if (monotonic_nanos() > until || cancellation_time() != 0)
            throw failed(ErrorCode::timeout, profile, "It did not end in time.");
    }
    if (WIFEXITED(*status) && WEXITSTATUS(*status) == kNoProgram && text.empty())
        throw failed(ErrorCode::permission_denied, profile,
                     "Program \"" + program + "\" could not be run.");
    if (*status != 0) {
        throw failed(ErrorCode::permission_denied, profile,
                     WIFEXITED(*status)
                         ? "It ended with status " + std::to_string(WEXITSTATUS(*status)) + "."
                         : "A signal ended it.");
    }
    return text;
}

}  // namespace

std::vector<std::string> split_command(const std::string& command) {
    std::vector<std::string> words;
    char quote = '\0';
    bool inside = false;
    for (size_t i = 0; i < command.size(); ++i) {
        const char c = command[i];
        const bool blank = c == ' ' || c == '\t';
        if (quote == '\0' && blank) {
            inside = false;
            continue;
        }
        if (!inside)
            words.emplace_back();
        inside = true;
        if (c == quote)
            quote = '\0';
        else if (quote == '\0' && (c == '"' || c == '\''))
            quote = c;
        else if (c == '\\' && quote != '\'' && i + 1 < command.size())
            words.back() += command[++i];
        else
            words.back() += c;
    }
    if (quote != '\0')
        throw Error(ErrorCode::invalid_argument,
                    "a credential_process has a quotation mark without an end");
    return words;
}

S3Credentials process_credentials(const std::string& command, const std::string& profile,
                                  double timeout_seconds) {
    return credentials_of_process(output_of(command, profile, timeout_seconds), profile);
}

}  // namespace ark
