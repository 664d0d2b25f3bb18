#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/drill/scratch_server.hpp"
#include "core/drill/session.hpp"

namespace ark {

enum class TaskKind { catalog, heap, visibility, index, index_alone, rows };

struct Question {
    std::string what;  ///< the relation or catalog, for people
    std::string sql;
};

/// A question to the scratch server about one thing. Small: there are several for each relation.
struct CheckTask {
    TaskKind kind = TaskKind::heap;
    uint32_t relation = 0;  ///< the caller's number of the relation
    uint64_t bytes = 0;
    std::unique_ptr<Question> question;  ///< none: it is made when its turn comes
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

    /// Answers come in the order in which they are ready; an answer may give a further question
    /// (about the rest of a relation). A question that brought the server down gets a result with
    /// `lost`, and what the log says as its message.
    using Answer = std::function<std::optional<CheckTask>(const CheckTask&, const SqlResult&)>;
    /// Makes the question of a task that has none yet.
    using Ask = std::function<Question(const CheckTask&)>;

    /// The watch is told how many of all questions so far are answered. False when the server could
    /// not be brought back, or went down too often: what was not asked then stays so.
    bool run(const std::string& database, std::vector<CheckTask> tasks, int jobs,
             const Ask& question, const Answer& answer);

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
        int questions = 0;  ///< that the session has had
        std::optional<CheckTask> task;
        std::optional<SqlResult> failed;  ///< there was no connection to be had
    };

    bool run_lanes(const std::string& database, Tasks& queue, Tasks& suspects, int jobs,
                   const Ask& question, const Answer& answer);
    void feed(const std::string& database, Lane& lane, Tasks& queue, const Ask& question);
    bool went_down(std::vector<Lane>& lanes, Tasks& suspects, const Answer& answer,
                   SqlResult result);
    void finish(const CheckTask& task, const SqlResult& result, Tasks& queue, const Answer& answer);

    ScratchServer& server_;
    const SessionTarget owner_;
    const SessionTarget reader_;
    Watch& watch_;
    int crashes_ = 0;
    uint64_t done_ = 0;
    uint64_t total_ = 0;
    std::string last_crash_;
};

}  // namespace ark
