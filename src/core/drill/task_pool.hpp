#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/drill/scratch_server.hpp"
#include "core/drill/session.hpp"
#include "core/drill/tier_order.hpp"

namespace ark {

enum class TaskKind { catalog, heap, index, index_alone, rows, rule };

class Asker;

struct Question {
    std::string what;  ///< the relation or catalog, for people
    std::string sql;
    std::string role{};  ///< who asks; empty: the reader
};

/// A question to the scratch server about one thing. Small: there are several for each relation.
struct CheckTask {
    Asker* asker = nullptr;
    TaskKind kind = TaskKind::heap;
    uint32_t relation = 0;  ///< the asker's number of the relation
    uint64_t bytes = 0;     ///< that are read for it: an estimate of how long it takes
    std::unique_ptr<Question> question{};  ///< none: it is made when its turn comes
    int tier = TierOrder::kLast;           ///< of a lower one comes first
};

/// Has questions to one database, and takes their answers.
class Asker {
 public:
    virtual ~Asker() = default;

    /// Looks at the database and adds its questions. False when the server is lost for good.
    virtual bool add_tasks(std::vector<CheckTask>& tasks) = 0;
    /// Of a task that has none yet.
    virtual Question question(const CheckTask& task) const = 0;
    /// May give further questions (about the rest of a relation).
    virtual std::vector<CheckTask> answer(const CheckTask& task, const SqlResult& result) = 0;
    /// The drill's step that the task belongs to, as its table of times calls it.
    virtual const char* step_of(const CheckTask& task) const = 0;
};

/// Puts questions to one database of the scratch server, over several connections at once.
///
/// A server that a question brings down is started again. When it went down with several questions
/// on their way, each of them is put again on its own: which one it was shows then.
class TaskPool {
 public:
    /// As whom `ask` and `run` speak to the server.
    TaskPool(ScratchServer& server, SessionTarget owner, SessionTarget reader, Watch& watch)
        : server_(server), owner_(std::move(owner)), reader_(std::move(reader)), watch_(watch) {}

    /// Answers come in the order in which they are ready. A question that brought the server down
    /// gets a result with `lost`, and what the log says as its message. The watch is told how many
    /// of all questions so far are answered. False when the server could not be brought back, or
    /// went down too often: what was not asked then stays so.
    bool run(const std::string& database, std::vector<CheckTask> tasks, int jobs);

    /// How long `run` took for each step, in seconds. Steps whose questions are asked at once share
    /// the time as they shared the connections.
    const std::map<std::string, double>& seconds_of_steps() const { return seconds_; }

    /// One query on a connection of its own, of the superuser: nothing that runs code of the
    /// backup.
    SqlResult ask(const std::string& database, const std::string& sql);
    /// The same; each row goes to `use`.
    SqlResult ask_rows(const std::string& database, const std::string& sql,
                       const std::function<void(const SqlRow&)>& use);
    /// Starts the server again where it has ended, or gives up: false. Error: as
    /// throw_unless_of_backup.
    bool revive();

 private:
    /// The next one is at the back.
    using Tasks = std::vector<CheckTask>;
    struct Lane {
        std::unique_ptr<Session> session;
        std::string role;       ///< whose session it is
        int questions = 0;      ///< that it has had
        bool ran_code = false;  ///< its last question may have changed its settings
        std::optional<CheckTask> task;
        int64_t begin = 0;                ///< of the task
        std::optional<SqlResult> failed;  ///< there was no connection to be had
    };

    bool run_lanes(const std::string& database, Tasks& queue, Tasks& suspects, int jobs);
    void share(double seconds);
    void feed(const std::string& database, Lane& lane, Tasks& queue);
    bool connect(const std::string& database, Lane& lane);
    bool went_down(std::vector<Lane>& lanes, Tasks& suspects, SqlResult result);
    void finish(const Lane& lane, const SqlResult& result, Tasks& queue);

    ScratchServer& server_;
    const SessionTarget owner_;
    const SessionTarget reader_;
    Watch& watch_;
    int crashes_ = 0;
    uint64_t done_ = 0;
    uint64_t total_ = 0;
    std::map<std::string, double> busy_;  ///< connections, in this run
    std::map<std::string, double> seconds_;
    std::string last_crash_;
};

}  // namespace ark
