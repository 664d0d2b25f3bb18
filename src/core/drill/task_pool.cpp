#include "core/drill/task_pool.hpp"

#include <algorithm>

#include "core/base/clock.hpp"
#include "core/drill/server_log.hpp"

namespace ark {

namespace {

constexpr int kMostCrashes = 10;
constexpr int kPauseMillis = 50;
// A session remembers each relation that it has seen, with 3 kB; then another one takes its place.
constexpr int kMostQuestions = 2000;
// A server with restart_after_crash=off ends its other sessions and itself.
constexpr int kCrashMillis = 10000;
constexpr double kNanosPerSecond = 1e9;

// A rule runs the users' code, which may have changed its session, with all that it holds for
// others: its role, its timeouts, its search_path, and temporary objects, which come before the
// catalogs.
constexpr const char* kAsNew = "SET SESSION AUTHORIZATION DEFAULT; RESET ALL; DISCARD TEMP; ";

// "server process (PID 1) was terminated by signal 11: Segmentation fault".
std::string crash_in(const std::string& log) {
    const size_t at = log.find("server process (PID ");
    if (at == std::string::npos)
        return {};
    return log.substr(at, log.find('\n', at) - at);
}

}  // namespace

bool TaskPool::revive() {
    const auto end = server_.wait_for_end(kCrashMillis);
    if (!end)
        return true;  // the connection alone was lost
    throw_unless_of_backup(*end);
    last_crash_ = crash_in(end->log);
    if (last_crash_.empty()) {
        if (const auto words = last_words_of(end->log))
            last_crash_ = words->message;
    }
    if (++crashes_ > kMostCrashes)
        return false;
    server_.start();
    const auto ended_again = server_.wait_until_ready();
    if (ended_again)
        throw_unless_of_backup(*ended_again);
    return !ended_again;
}

SqlResult TaskPool::ask(const std::string& database, const std::string& sql) {
    std::unique_ptr<Session> session;
    SqlResult result = Session::connect(owner_, database, watch_, session);
    return session ? session->query(sql, watch_) : result;
}

SqlResult TaskPool::ask_rows(const std::string& database, const std::string& sql,
                             const std::function<void(const SqlRow&)>& use) {
    std::unique_ptr<Session> session;
    SqlResult result = Session::connect(owner_, database, watch_, session);
    return session ? session->query_rows(sql, use, watch_) : result;
}

bool TaskPool::run(const std::string& database, std::vector<CheckTask> tasks, int jobs) {
    total_ += tasks.size();
    // Of what comes first by its tier the longest first: they decide when all is done.
    std::ranges::reverse(tasks);
    std::ranges::stable_sort(tasks, [](const CheckTask& a, const CheckTask& b) {
        return std::tuple(b.tier, a.bytes) < std::tuple(a.tier, b.bytes);
    });
    Tasks suspects;
    const int64_t begin = monotonic_nanos();
    bool whole = true;
    while (whole && (!tasks.empty() || !suspects.empty())) {
        const bool alone = !suspects.empty();
        Tasks& now = alone ? suspects : tasks;
        whole = run_lanes(database, now, suspects, alone ? 1 : jobs);
    }
    share(static_cast<double>(monotonic_nanos() - begin) / kNanosPerSecond);
    return whole;
}

void TaskPool::share(double seconds) {
    double all = 0;
    for (const auto& [step, busy] : busy_)
        all += busy;
    for (const auto& [step, busy] : busy_)
        seconds_[step] += all > 0 ? seconds * busy / all : 0;
    busy_.clear();
}

void TaskPool::finish(const Lane& lane, const SqlResult& result, Tasks& queue) {
    Asker& asker = *lane.task->asker;
    busy_[asker.step_of(*lane.task)] +=
        static_cast<double>(monotonic_nanos() - lane.begin) / kNanosPerSecond;
    std::vector<CheckTask> further = asker.answer(*lane.task, result);
    total_ += further.size();
    std::ranges::move(further, std::back_inserter(queue));
    ++done_;
}

// Gives the lane its next question, where there is one.
void TaskPool::feed(const std::string& database, Lane& lane, Tasks& queue) {
    if (queue.empty())
        return;
    lane.task = std::move(queue.back());
    queue.pop_back();
    lane.begin = monotonic_nanos();
    if (!lane.task->question)
        lane.task->question = std::make_unique<Question>(lane.task->asker->question(*lane.task));
    watch_.at(lane.task->question->what, done_, total_);
    if (!connect(database, lane))
        return;
    lane.session->send((lane.ran_code ? kAsNew : "") + lane.task->question->sql);
    lane.ran_code = lane.task->kind == TaskKind::rule;
}

// A session of whom the lane's question is for.
bool TaskPool::connect(const std::string& database, Lane& lane) {
    const std::string& role = lane.task->question->role;
    if (++lane.questions > kMostQuestions || role != lane.role)
        lane.session.reset();
    if (lane.session)
        return true;
    lane.role = role;
    lane.questions = 1;
    lane.ran_code = false;
    SessionTarget target = reader_;
    if (!role.empty())
        target.user = role;
    SqlResult failed = Session::connect(target, database, watch_, lane.session);
    if (!lane.session)
        lane.failed = std::move(failed);
    return lane.session != nullptr;
}

bool TaskPool::run_lanes(const std::string& database, Tasks& queue, Tasks& suspects, int jobs) {
    std::vector<Lane> lanes(static_cast<size_t>(std::max(jobs, 1)));
    for (;;) {
        std::vector<int> sockets;
        for (Lane& lane : lanes) {
            if (!lane.task)
                feed(database, lane, queue);
            if (lane.task && lane.session)
                sockets.push_back(lane.session->socket());
        }
        if (std::ranges::none_of(lanes, [](const Lane& lane) { return lane.task.has_value(); }))
            return true;
        if (!sockets.empty())
            wait_for_input(sockets, kPauseMillis);
        watch_.tick();
        for (Lane& lane : lanes) {
            if (!lane.task)
                continue;
            auto result = lane.failed ? std::move(lane.failed) : lane.session->poll();
            if (!result)
                continue;
            if (result->lost)
                return went_down(lanes, suspects, std::move(*result));
            finish(lane, *result, queue);
            lane.task.reset();
            lane.failed.reset();
        }
    }
}

bool TaskPool::went_down(std::vector<Lane>& lanes, Tasks& suspects, SqlResult result) {
    Tasks running;
    for (Lane& lane : lanes) {
        if (lane.task)
            running.push_back(std::move(*lane.task));
    }
    lanes.clear();
    last_crash_.clear();
    const bool alive = revive();
    if (!last_crash_.empty())
        result.message = last_crash_;
    if (running.size() == 1) {
        // What it would go on with is not worth a further crash.
        running.front().asker->answer(running.front(), result);
        ++done_;
    } else {
        std::ranges::move(running, std::back_inserter(suspects));
    }
    return alive;
}

}  // namespace ark
