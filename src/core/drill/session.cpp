#include "core/drill/session.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "core/base/clock.hpp"
#include "core/drill/server_settings.hpp"
#include "core/pq/libpq.hpp"

namespace ark {

namespace {

constexpr int64_t kConnectNanos = 60 * 1000000000LL;
constexpr int kPauseMillis = 50;

std::string field_of(const PGresult* result, int code) {
    const char* text = pq().result_error_field(result, code);
    return text == nullptr ? "" : text;
}

std::string without_newline(std::string text) {
    while (!text.empty() && text.back() == '\n')
        text.pop_back();
    return text;
}

SqlRow row_of(const PGresult* result, int number) {
    SqlRow row;
    for (int column = 0; column < pq().n_fields(result); ++column) {
        if (pq().get_is_null(result, number, column) != 0) {
            row.emplace_back();
        } else {
            row.emplace_back(
                std::string(pq().get_value(result, number, column),
                            static_cast<size_t>(pq().get_length(result, number, column))));
        }
    }
    return row;
}

std::vector<SqlColumn> columns_of(const PGresult* result) {
    const int count = pq().n_fields(result);
    std::vector<SqlColumn> columns;
    columns.reserve(static_cast<size_t>(count));
    for (int i = 0; i < count; ++i)
        columns.push_back({pq().f_name(result, i), pq().f_type(result, i)});
    return columns;
}

// Of "SELECT 3" or "MOVE 3"; 0 where the statement counts nothing.
uint64_t affected_by(PGresult* result) {
    const std::string_view text = pq().cmd_tuples(result);
    uint64_t count = 0;
    std::from_chars(text.data(), text.data() + text.size(), count);
    return count;
}

std::vector<SqlRow> rows_of(const PGresult* result) {
    std::vector<SqlRow> rows;
    rows.reserve(static_cast<size_t>(pq().n_tuples(result)));
    for (int number = 0; number < pq().n_tuples(result); ++number)
        rows.push_back(row_of(result, number));
    return rows;
}

}  // namespace

const std::vector<SqlRow>& SqlResult::rows() const {
    static const std::vector<SqlRow> none;
    return sets.empty() ? none : sets.back();
}

bool is_of_code(const SqlResult& result) {
    constexpr std::array kOfServer{"XX", "58", "53", "57", "08"};
    return !result.lost && result.sqlstate.size() == 5 &&
           std::ranges::count(kOfServer, result.sqlstate.substr(0, 2)) == 0;
}

std::optional<Error> missing_library(const SqlResult& result, const std::string& database) {
    if (!result.message.starts_with("could not access file \"") &&
        !result.message.starts_with("could not load library \""))
        return std::nullopt;
    return Error(ErrorCode::not_found, "the scratch server misses a library",
                 "In database " + database + ": " + result.message + ".",
                 "Install on this host what the source has, and test again.");
}

struct Session::State {
    State() = default;
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() { pq().finish(connection); }

    void broke() {
        result.failed = true;
        result.lost = true;
        if (result.message.empty())
            result.message = without_newline(pq().error_message(connection));
    }
    void take(PGresult* part) {
        const ExecStatusType status = pq().result_status(part);
        if (status == PGRES_SINGLE_TUPLE) {
            use_row(row_of(part, 0));
            return;
        }
        if (status == PGRES_TUPLES_OK) {
            result.sets.push_back(rows_of(part));
            result.columns = columns_of(part);
        }
        if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
            result.affected = affected_by(part);
        if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY)
            return;
        // What comes after the first error is its consequence.
        if (!result.failed) {
            result.sqlstate = field_of(part, PG_DIAG_SQLSTATE);
            result.message = field_of(part, PG_DIAG_MESSAGE_PRIMARY);
            result.detail = field_of(part, PG_DIAG_MESSAGE_DETAIL);
            result.hint = field_of(part, PG_DIAG_MESSAGE_HINT);
            if (result.message.empty())
                result.message = without_newline(pq().result_error_message(part));
        }
        result.failed = true;
    }

    PGconn* connection = nullptr;
    SqlResult result;
    std::function<void(const SqlRow&)> use_row;  // of query_rows, while it lasts
};

Session::Session(std::unique_ptr<State> state) : state_(std::move(state)) {}
Session::~Session() = default;

SqlResult Session::connect(const SessionTarget& target, const std::string& database, Watch& watch,
                           std::unique_ptr<Session>& out) {
    const std::string options = session_options(target.major, target.superuser);
    const std::array keys{"host",
                          "port",
                          "dbname",
                          "user",
                          "options",
                          "sslmode",
                          "gssencmode",
                          "application_name",
                          static_cast<const char*>(nullptr)};
    const std::array values{target.socket_directory.c_str(),
                            "5432",
                            database.c_str(),
                            target.user.c_str(),
                            options.c_str(),
                            "disable",
                            "disable",
                            "pg_ark drill",
                            static_cast<const char*>(nullptr)};
    auto state = std::make_unique<State>();
    state->connection = pq().connect_start_params(keys.data(), values.data(), 0);
    const int64_t deadline = monotonic_nanos() + kConnectNanos;
    auto step = state->connection == nullptr ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
    while (step != PGRES_POLLING_OK && step != PGRES_POLLING_FAILED) {
        pollfd fd{pq().socket(state->connection),
                  static_cast<short>(step == PGRES_POLLING_WRITING ? POLLOUT : POLLIN), 0};
        if (fd.fd < 0)
            break;  // refused before there was anything to wait for
        const int ready = ::poll(&fd, 1, kPauseMillis);
        watch.tick();
        if (ready > 0)
            step = pq().connect_poll(state->connection);
        if (monotonic_nanos() > deadline)
            step = PGRES_POLLING_FAILED;
    }
    if (step != PGRES_POLLING_OK) {
        state->broke();
        return std::move(state->result);
    }
    pq().set_nonblocking(state->connection, 1);
    // Names are told as UTF-8 where the database's encoding can be converted; else as they are, for
    // what cannot be converted would be an error.
    const char* encoding = pq().parameter_status(state->connection, "server_encoding");
    const std::string_view of_server = encoding == nullptr ? "" : encoding;
    if (of_server != "SQL_ASCII" && of_server != "MULE_INTERNAL")
        pq().set_client_encoding(state->connection, "UTF8");
    pq().set_notice_processor(
        state->connection, [](void*, const char*) {}, nullptr);
    out.reset(new Session(std::move(state)));
    return {};
}

void Session::send(const std::string& sql) {
    state_->result = {};
    if (pq().send_query(state_->connection, sql.c_str()) == 0)
        state_->broke();
}

void Session::send_alone(const std::string& sql) {
    state_->result = {};
    if (pq().send_query_params(state_->connection, sql.c_str(), 0, nullptr, nullptr, nullptr,
                               nullptr, 0) == 0)
        state_->broke();
}

std::optional<SqlResult> Session::poll() {
    PGconn* connection = state_->connection;
    if (!state_->result.lost)
        pq().flush(connection);
    while (!state_->result.lost) {
        const bool read = pq().consume_input(connection) != 0;
        if (read && pq().is_busy(connection) != 0)
            return std::nullopt;
        PGresult* part = pq().get_result(connection);
        if (part == nullptr)
            break;
        state_->take(part);
        pq().clear(part);
        if (pq().status(connection) == CONNECTION_BAD)
            state_->broke();
    }
    if (pq().status(connection) == CONNECTION_BAD)
        state_->broke();
    return std::move(state_->result);
}

int Session::socket() const {
    return pq().socket(state_->connection);
}

SqlResult Session::query(const std::string& sql, Watch& watch) {
    send(sql);
    return wait(watch);
}

SqlResult Session::query_rows(const std::string& sql, const std::function<void(const SqlRow&)>& use,
                              Watch& watch) {
    send(sql);
    state_->use_row = use;
    if (!state_->result.lost && pq().set_single_row_mode(state_->connection) == 0)
        state_->broke();
    return wait(watch);
}

SqlResult Session::wait(Watch& watch) {
    for (;;) {
        if (auto result = poll())
            return std::move(*result);
        wait_for_input({socket()}, kPauseMillis);
        watch.tick();
    }
}

void wait_for_input(const std::vector<int>& sockets, int millis) {
    std::vector<pollfd> fds;
    fds.reserve(sockets.size());
    for (const int socket : sockets)
        fds.push_back({socket, POLLIN, 0});
    ::poll(fds.data(), fds.size(), millis);
}

std::string quote_sql_literal(const std::string& text) {
    std::string out = "E'";
    for (const char c : text) {
        if (c == '\'' || c == '\\')
            out += c;
        out += c;
    }
    return out + "'";
}

}  // namespace ark
