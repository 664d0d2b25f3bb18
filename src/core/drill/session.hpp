#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/drill/watch.hpp"

namespace ark {

/// Where the scratch server listens, and as whom to speak to it.
struct SessionTarget {
    std::string socket_directory;
    std::string user;
    bool superuser = false;
    uint32_t major = 15;
};

using SqlRow = std::vector<std::optional<std::string>>;

struct SqlColumn {
    std::string name;
    uint32_t type = 0;  ///< its oid
};

/// What became of the statements of one query.
struct SqlResult {
    std::vector<std::vector<SqlRow>> sets;  ///< of each statement that gave rows
    std::vector<SqlColumn> columns;         ///< of the last of them
    uint64_t affected = 0;  ///< rows that the last statement says to have gone through
    bool failed = false;
    bool lost = false;  ///< the connection broke
    std::string sqlstate;
    std::string message;
    std::string detail;
    std::string hint;

    /// The rows of the last statement that gave any.
    const std::vector<SqlRow>& rows() const;
};

/// Whether it failed in the backup's own code, and not the server, which speaks of damage as
/// internal errors (XX), I/O (58), lack of resources (53), and of its own end (57, 08).
bool is_of_code(const SqlResult& result);

/// Of an operator class, say, whose package is not on this host: nothing is known of the backup
/// then. The error to end with; nullopt for anything else.
std::optional<Error> missing_library(const SqlResult& result, const std::string& database);

/// One connection to the scratch server; non-blocking. For the thread that runs the drill.
class Session {
 public:
    /// Connects, at most 60 s; `failed` of the result where that did not work.
    static SqlResult connect(const SessionTarget& target, const std::string& database, Watch& watch,
                             std::unique_ptr<Session>& out);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// Sends it; may hold several statements, which are one transaction.
    void send(const std::string& sql);
    /// Sends one statement; a second one behind it is a syntax error (the extended protocol).
    void send_alone(const std::string& sql);
    /// Reads what has come; the result once all of it is there.
    std::optional<SqlResult> poll();
    int socket() const;

    /// send and poll, waiting.
    SqlResult query(const std::string& sql, Watch& watch);
    /// The same for an answer of any length: each row goes to `use` as it comes, and none is in the
    /// result. Those before an error have been given away then.
    SqlResult query_rows(const std::string& sql, const std::function<void(const SqlRow&)>& use,
                         Watch& watch);

 private:
    struct State;
    explicit Session(std::unique_ptr<State> state);
    SqlResult wait(Watch& watch);

    std::unique_ptr<State> state_;
};

/// Waits up to `millis` until one of the sockets can be read.
void wait_for_input(const std::vector<int>& sockets, int millis);

/// 'text' as a literal; standard_conforming_strings or not.
std::string quote_sql_literal(const std::string& text);

}  // namespace ark
