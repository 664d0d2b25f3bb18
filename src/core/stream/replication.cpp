#include "core/stream/replication.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/pq/libpq.hpp"

namespace ark {

namespace {

constexpr int64_t kConnectNanos = 30 * 1000000000LL;
// An answer to a command that needs no work.
constexpr int64_t kAnswerNanos = 60 * 1000000000LL;
constexpr int kPauseMillis = 1000;
constexpr const char* kGoneSqlState = "58P01";  // undefined_file: the segment was removed

constexpr const char* kConnectHint =
    "The server must let it in: a line \"local replication USER METHOD\" in pg_hba.conf, a role "
    "with "
    "REPLICATION, wal_level replica or logical, and a free place in max_wal_senders.";

struct FreeResult {
    void operator()(PGresult* result) const { pq().clear(result); }
};
using Result = std::unique_ptr<PGresult, FreeResult>;

std::string without_newlines(const char* text) {
    std::string out = text == nullptr ? "" : text;
    while (!out.empty() && out.back() == '\n')
        out.pop_back();
    return out;
}

std::string field_of(const PGresult* result, int code) {
    const char* text = pq().result_error_field(result, code);
    return text == nullptr ? "" : text;
}

// What the server says, without its "ERROR:  ".
std::string words_of(const PGresult* result) {
    const std::string primary = field_of(result, PG_DIAG_MESSAGE_PRIMARY);
    const std::string detail = field_of(result, PG_DIAG_MESSAGE_DETAIL);
    if (primary.empty())
        return without_newlines(pq().result_error_message(result));
    return detail.empty() ? primary : primary + ": " + detail;
}

Error connect_error(const PGconn* connection) {
    return {
        ErrorCode::unavailable, "could not connect to the server to stream its WAL",
        connection == nullptr ? "out of memory" : without_newlines(pq().error_message(connection)),
        kConnectHint};
}

Error lost(const PGconn* connection) {
    return {ErrorCode::unavailable,
            "the connection that streams WAL was lost",
            without_newlines(pq().error_message(connection)),
            {}};
}

// Network byte order, unlike everything in files.
template <typename T>
T load_big(ByteView bytes, size_t offset) {
    T value = 0;
    for (size_t i = 0; i < sizeof(T); ++i)
        value = static_cast<T>((value << 8) | static_cast<uint8_t>(bytes[offset + i]));
    return value;
}

void append_big(std::string& out, uint64_t value) {
    for (int shift = 56; shift >= 0; shift -= 8)
        out.push_back(static_cast<char>(value >> shift));
}

uint64_t number_of(ByteView text) {
    uint64_t value = 0;
    const std::string_view digits = as_text(text);
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (result.ec != std::errc{} || result.ptr != digits.data() + digits.size()) {
        throw Error(ErrorCode::protocol_violation,
                    "the server sent \"" + std::string(digits) + "\" where a number was expected");
    }
    return value;
}

Lsn lsn_of(ByteView text) {
    const auto lsn = parse_lsn(as_text(text));
    if (lsn)
        return *lsn;
    throw Error(ErrorCode::protocol_violation, "the server sent \"" + std::string(as_text(text)) +
                                                   "\" where a WAL position was expected");
}

std::vector<std::vector<Bytes>> rows_of(const PGresult* result) {
    std::vector<std::vector<Bytes>> rows;
    for (int row = 0; row < pq().n_tuples(result); ++row) {
        auto& out = rows.emplace_back();
        for (int column = 0; column < pq().n_fields(result); ++column) {
            const auto* value =
                reinterpret_cast<const std::byte*>(pq().get_value(result, row, column));
            out.emplace_back(value, value + pq().get_length(result, row, column));
        }
    }
    return rows;
}

struct FreeOptions {
    void operator()(PQconninfoOption* options) const { pq().conninfo_free(options); }
};
using Options = std::unique_ptr<PQconninfoOption, FreeOptions>;

Options parse_conninfo(const std::string& conninfo) {
    char* message = nullptr;
    Options options(pq().conninfo_parse(conninfo.c_str(), &message));
    if (options)
        return options;
    const std::string why = without_newlines(message);
    pq().free_mem(message);
    // Not the string itself: it may hold a password.
    throw Error(ErrorCode::invalid_argument, "invalid connection string for WAL streaming", why);
}

// The keywords and values of the string, with what makes it a replication connection.
struct Parameters {
    explicit Parameters(const std::string& conninfo) : options(parse_conninfo(conninfo)) {
        for (const PQconninfoOption* o = options.get(); o->keyword != nullptr; ++o) {
            const std::string_view keyword = o->keyword;
            if (o->val != nullptr && keyword != "replication" && keyword != "dbname")
                add(o->keyword, o->val);
        }
        add("dbname", "replication");  // what a password file calls it
        add("replication", "true");
        add("fallback_application_name", "pg_ark");
        add(nullptr, nullptr);
    }
    void add(const char* keyword, const char* value) {
        keywords.push_back(keyword);
        values.push_back(value);
    }
    Options options;
    std::vector<const char*> keywords;
    std::vector<const char*> values;
};

}  // namespace

struct ReplicationConnection::State {
    State() = default;
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() {
        pq().free_mem(message);
        pq().finish(connection);
    }
    PGconn* connection = nullptr;
    char* message = nullptr;  // the last one
    bool unsent = false;      // something waits for room in the socket
};

void check_conninfo(const std::string& conninfo) {
    parse_conninfo(conninfo);
}

ReplicationConnection::ReplicationConnection(const std::string& conninfo, const WakeUp& wake)
    : wake_(wake), state_(std::make_unique<State>()) {
    connect(conninfo);
}

ReplicationConnection::~ReplicationConnection() = default;

void ReplicationConnection::connect(const std::string& conninfo) {
    const Parameters parameters(conninfo);
    PGconn*& connection = state_->connection;
    connection = pq().connect_start_params(parameters.keywords.data(), parameters.values.data(), 0);
    if (connection == nullptr || pq().status(connection) == CONNECTION_BAD)
        throw connect_error(connection);
    pq().set_notice_processor(
        connection, [](void*, const char*) {}, nullptr);
    const int64_t deadline = monotonic_nanos() + kConnectNanos;
    PostgresPollingStatusType step = PGRES_POLLING_WRITING;
    while (step != PGRES_POLLING_OK) {
        const bool writing = step == PGRES_POLLING_WRITING;
        if (wake_.wait(kPauseMillis, pq().socket(connection), !writing, writing) != 0)
            step = pq().connect_poll(connection);
        if (step == PGRES_POLLING_FAILED || monotonic_nanos() > deadline)
            throw connect_error(connection);
    }
    pq().set_nonblocking(connection, 1);
}

int ReplicationConnection::process_id() const {
    return pq().backend_pid(state_->connection);
}

std::vector<std::vector<Bytes>> ReplicationConnection::query(const std::string& command) {
    PGconn* connection = state_->connection;
    if (pq().send_query(connection, command.c_str()) == 0)
        throw lost(connection);
    const int64_t deadline = monotonic_nanos() + kAnswerNanos;
    std::vector<std::vector<Bytes>> rows;
    std::optional<Error> failure;
    for (;;) {
        const bool unsent = pq().flush(connection) > 0;
        if (pq().is_busy(connection) != 0) {
            if (monotonic_nanos() > deadline)
                throw Error(ErrorCode::timeout, "the server does not answer \"" + command + "\"");
            if (wake_.wait(kPauseMillis, pq().socket(connection), true, unsent) != 0 &&
                pq().consume_input(connection) == 0) {
                throw lost(connection);
            }
            continue;
        }
        const Result result(pq().get_result(connection));
        if (!result)
            break;
        const ExecStatusType status = pq().result_status(result.get());
        if (status == PGRES_COPY_BOTH)
            break;
        if (status == PGRES_TUPLES_OK)
            rows = rows_of(result.get());
        if (status == PGRES_FATAL_ERROR && !failure) {
            const bool gone = field_of(result.get(), PG_DIAG_SQLSTATE) == kGoneSqlState;
            failure = Error(gone ? ErrorCode::not_found : ErrorCode::unavailable,
                            "the server refused \"" + command + "\"", words_of(result.get()));
        }
    }
    if (failure)
        throw Error(*failure);
    return rows;
}

ServerIdentity ReplicationConnection::identify() {
    const auto rows = query("IDENTIFY_SYSTEM");
    if (rows.size() != 1 || rows[0].size() < 3)
        throw Error(ErrorCode::protocol_violation, "the server does not say who it is");
    return {number_of(rows[0][0]), static_cast<TimelineId>(number_of(rows[0][1])),
            lsn_of(rows[0][2])};
}

std::optional<Bytes> ReplicationConnection::timeline_history(TimelineId timeline) {
    try {
        const auto rows = query("TIMELINE_HISTORY " + std::to_string(timeline));
        if (rows.size() == 1 && rows[0].size() == 2)
            return rows[0][1];
    } catch (const Error& error) {
        if (error.code != ErrorCode::not_found)
            throw;
    }
    return std::nullopt;
}

// "16MB": the server prints it in the largest unit that fits.
uint64_t ReplicationConnection::segment_size() {
    const auto rows = query("SHOW wal_segment_size");
    if (rows.size() == 1 && !rows[0].empty()) {
        const std::string text(as_text(rows[0][0]));
        const size_t unit = text.find_first_not_of("0123456789");
        const uint64_t number = number_of(as_bytes(text.substr(0, unit)));
        const std::string_view word =
            unit == std::string::npos ? "" : std::string_view(text).substr(unit);
        const uint64_t size = number << (word == "GB" ? 30 : word == "MB" ? 20 : 0);
        if (is_valid_segment_size(size))
            return size;
    }
    throw Error(ErrorCode::protocol_violation, "the server does not say how large segments are");
}

void ReplicationConnection::start(Lsn begin, TimelineId timeline) {
    query("START_REPLICATION PHYSICAL " + to_text(begin) + " TIMELINE " + std::to_string(timeline));
}

std::optional<StreamMessage> ReplicationConnection::receive() {
    PGconn* connection = state_->connection;
    pq().free_mem(state_->message);
    state_->message = nullptr;
    int length = pq().get_copy_data(connection, &state_->message, 1);
    if (length == 0) {
        // What came last may be an error's own words: they are read before the loss is told.
        const bool alive = pq().consume_input(connection) != 0;
        length = pq().get_copy_data(connection, &state_->message, 1);
        if (length == 0 && !alive)
            throw lost(connection);
    }
    if (length == 0)
        return std::nullopt;
    if (length == -1)
        return end_of_timeline();
    if (length < 0)
        throw lost(connection);
    return decode(
        ByteView(reinterpret_cast<const std::byte*>(state_->message), static_cast<size_t>(length)));
}

StreamMessage ReplicationConnection::decode(ByteView message) const {
    constexpr size_t kWalHeader = 1 + 8 + 8 + 8;
    constexpr size_t kKeepalive = 1 + 8 + 8 + 1;
    StreamMessage out;
    if (message[0] == std::byte{'w'} && message.size() >= kWalHeader) {
        out.begin = load_big<uint64_t>(message, 1);
        out.server_end = load_big<uint64_t>(message, 9);
        out.bytes = message.subspan(kWalHeader);
        return out;
    }
    if (message[0] == std::byte{'k'} && message.size() >= kKeepalive) {
        out.kind = StreamMessage::Kind::keepalive;
        out.server_end = load_big<uint64_t>(message, 1);
        out.wants_reply = message[17] != std::byte{0};
        return out;
    }
    throw Error(ErrorCode::protocol_violation, "the server sent an unknown streaming message");
}

// The server has sent CopyDone, or an error.
std::optional<StreamMessage> ReplicationConnection::end_of_timeline() {
    PGconn* connection = state_->connection;
    StreamMessage out;
    out.kind = StreamMessage::Kind::end_of_timeline;
    const int64_t deadline = monotonic_nanos() + kAnswerNanos;
    for (;;) {
        const bool unsent = pq().flush(connection) > 0;
        if (pq().is_busy(connection) != 0) {
            if (monotonic_nanos() > deadline)
                throw Error(ErrorCode::timeout, "the server does not end the timeline");
            if (wake_.wait(kPauseMillis, pq().socket(connection), true, unsent) != 0 &&
                pq().consume_input(connection) == 0) {
                throw lost(connection);
            }
            continue;
        }
        const Result result(pq().get_result(connection));
        if (!result)
            return out;
        const ExecStatusType status = pq().result_status(result.get());
        if (status == PGRES_COPY_IN && pq().put_copy_end(connection, nullptr) < 0)
            throw lost(connection);
        if (status == PGRES_TUPLES_OK) {
            const auto rows = rows_of(result.get());
            if (rows.size() == 1 && rows[0].size() >= 2)
                out.next = {static_cast<TimelineId>(number_of(rows[0][0])), lsn_of(rows[0][1])};
        }
        if (status == PGRES_FATAL_ERROR) {
            const bool gone = field_of(result.get(), PG_DIAG_SQLSTATE) == kGoneSqlState;
            throw Error(gone ? ErrorCode::not_found : ErrorCode::unavailable,
                        "the server has ended the streaming of WAL", words_of(result.get()));
        }
    }
}

void ReplicationConnection::send_status(Lsn durable) {
    std::string message = "r";
    for (int i = 0; i < 3; ++i)  // written, flushed, applied
        append_big(message, durable);
    append_big(message, static_cast<uint64_t>(now_micros() - kPostgresEpochMicros));
    message.push_back(0);  // no reply is wanted
    PGconn* connection = state_->connection;
    const int put =
        pq().put_copy_data(connection, message.data(), static_cast<int>(message.size()));
    const int left = put > 0 ? pq().flush(connection) : put;
    if (left < 0)
        throw lost(connection);
    state_->unsent = left > 0;
}

void ReplicationConnection::wait(int millis, bool to_read) {
    PGconn* connection = state_->connection;
    wake_.wait(millis, pq().socket(connection), to_read, state_->unsent);
    if (!state_->unsent)
        return;
    const int left = pq().flush(connection);
    if (left < 0)
        throw lost(connection);
    state_->unsent = left > 0;
}

}  // namespace ark
