// The role that wal-get leaves behind: fetches what recovery is going to ask for. Nobody waits for
// it, so it sees to its own end: core/archive/prefetch.hpp.

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <optional>
#include <string>
#include <vector>

#include "cli/child/channel.hpp"
#include "cli/command.hpp"
#include "core/archive/prefetch.hpp"
#include "core/archive/prefetch_plan.hpp"
#include "core/base/cancellation.hpp"
#include "core/base/error.hpp"
#include "core/pgdata/control_file.hpp"
#include "core/repo/cluster_keys.hpp"

namespace ark {

namespace {

constexpr double kStoreSeconds = 5;
constexpr size_t kThreadStackBytes = 1 << 20;

std::atomic<bool> g_stop = false;
static_assert(std::atomic<bool>::is_always_lock_free, "set in a signal handler");

extern "C" void on_prefetch_stop(int /*signal*/) {
    g_stop = true;
    request_cancellation();
}

template <typename Number>
Number number_of(const std::string& word) {
    Number value = 0;
    const char* end = word.data() + word.size();
    const auto parsed = std::from_chars(word.data(), end, value);
    if (parsed.ec != std::errc{} || parsed.ptr != end)
        throw Error(ErrorCode::protocol_violation, "not a number: \"" + word + "\"");
    return value;
}

constexpr size_t kWords = 13;

// As start_prefetcher writes them.
PrefetchOrder order_of(const std::vector<std::string>& words) {
    if (words.size() != kWords)
        throw Error(ErrorCode::protocol_violation, "a prefetcher's order has thirteen words");
    return {words[0],
            {words[1], words[2], words[3], number_of<uint64_t>(words[4]),
             words[12].empty() ? std::nullopt : std::optional(number_of<UnixMicros>(words[12]))},
            number_of<int>(words[5]),
            {number_of<pid_t>(words[6]), number_of<uint64_t>(words[7]), words[8] == "1"}};
}

// Whoever is started by start_prefetcher begins with all signals blocked, so none is lost here.
[[noreturn]] void watch_over(pid_t worker) {
    sigset_t all;
    sigfillset(&all);
    for (;;) {
        int status = 0;
        if (waitpid(worker, &status, WNOHANG) == worker)
            _exit(WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1);
        const int number = sigwaitinfo(&all, nullptr);
        if (number == SIGTERM || number == SIGINT || number == SIGHUP || number == SIGQUIT)
            kill(worker, number);
    }
}

// Where the postmaster is process 1 it reaps us, whom our wal-get left behind, and takes any end
// but with 0 and 1 for a crash of one of its own: kill -9, an end for want of memory, a fault in
// this program. So there a parent that needs next to no memory stays between, and ends well
// whatever happened. Returns in the process that is to work.
void stay_apart_from_process_1(SpoolLock& lock) {
    const pid_t parent = getpid();
    const pid_t worker = fork();
    if (worker < 0)
        throw system_error(errno, "could not create a process");
    if (worker > 0) {
        close(lock.fd());  // only its worker's life means that the spool is filled
        watch_over(worker);
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(1);
}

// An end by the kernel for want of memory harms nobody.
void prefer_to_die_first() {
    const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    static_cast<void>(!write(fd, "800", 3));
    close(fd);
}

void prepare(const PrefetchOrder& order, bool has_key) {
    struct sigaction action {};
    action.sa_handler = on_prefetch_stop;
    for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT})
        sigaction(number, &action, nullptr);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    prefer_to_die_first();
    const rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    prctl(PR_SET_DUMPABLE, 0);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, kThreadStackBytes);
    pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);
    mallopt(M_ARENA_MAX, 2);
    const uint64_t size = read_control_file(order.data_directory).wal_segment_size;
    const size_t threads = prefetch_threads(prefetch_depth(order.segments, size), size);
    // A segment's bytes, its compressed bytes, and room to grow.
    constexpr uint64_t kBesides = 96;
    constexpr uint64_t kForPassphrase = 160;  // scrypt at the cost that keyrings are made with
    limit_memory(kBesides + (has_key ? kForPassphrase : 0) + threads * (3 * size >> 20));
}

// Ends by _exit, not by destructors: a thread may be waiting for a store.
[[noreturn]] void prefetch(const PrefetchOrder& order, ClusterKeys keys, bool require_encryption,
                           SpoolLock& lock) {
    int status = 0;
    StoreOptions impatient;
    impatient.retry_timeout = kStoreSeconds;
    impatient.as_of = order.origin.as_of;
    Prefetcher prefetcher(order, [&] {
        auto repository = Repository::open(order.origin.repository_url, OpenMode::read, impatient);
        if (keys.source().is_given() || require_encryption) {
            keys.use(*repository, repository->resolve_cluster(order.origin.cluster),
                     require_encryption);
        }
        return repository;
    });
    try {
        prefetcher.run([] { return g_stop.load(); });
    } catch (...) {
        status = 1;
    }
    request_cancellation();
    lock.remove_spool();
    _exit(status);
}

}  // namespace

int run_server_prefetch(int argc, char** argv) {
    try {
        const std::vector<std::string> words{argv + 2, argv + argc};
        const PrefetchOrder order = order_of(words);
        const KeySource key{words[9], words[10]};
        SpoolLock lock(kPrefetchLockFd, order.data_directory + "/" + kSpoolDirectory);
        if (order.process.under_init)
            stay_apart_from_process_1(lock);
        try {
            prepare(order, key.is_given());
            prefetch(order, ClusterKeys(key), words[11] == "1", lock);
        } catch (...) {  // its wal-get meets the same trouble, and tells of it
            lock.remove_spool();
        }
    } catch (...) {  // no order, or no memory to read it
    }
    _exit(1);
}

}  // namespace ark
