#include "core/drill/user_check_run.hpp"

#include <algorithm>
#include <deque>

#include "core/base/clock.hpp"
#include "core/drill/inventory.hpp"
#include "core/drill/server_log.hpp"
#include "core/repo/json_text.hpp"

namespace ark {

namespace {

using nlohmann::json;

constexpr int kSamples = 10;
constexpr uint64_t kMostCounted = 1000000;
// Checks that one ready-made one may make, as on the live server.
constexpr size_t kMostMade = 100000;
// What comes of checks that were made, without their samples: a database may have any number.
constexpr size_t kMostMadeBytes = 100 * 1000;
constexpr size_t kMostText = 300;
constexpr int kPauseMillis = 50;
constexpr double kNanosPerSecond = 1e9;
// All samples together, and the answers of all: the evidence has to fit a message.
constexpr size_t kMostSampleBytes = 100 * 1000;
// Where the server does not end a statement in time.
constexpr int64_t kPatienceNanos = 10 * 1000000000LL;

// Cut between characters.
std::string shortened(std::string text) {
    if (text.size() <= kMostText)
        return text;
    size_t end = kMostText;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80)
        --end;
    text.resize(end);
    return text + "…";
}

std::string without_semicolon(std::string sql) {
    const size_t last = sql.find_last_not_of("; \t\r\n");
    sql.resize(last == std::string::npos ? 0 : last + 1);
    return sql;
}

const char* name_of(UserCheck::Kind kind) {
    return kind == UserCheck::Kind::critical ? "critical" : "integrity";
}

// What is checked, for people.
std::string label_of(const UserCheck& check) {
    return "\"" + check.name + "\"" + (check.object.empty() ? "" : ", " + check.object);
}

// What every result has, whatever came out.
json told_of(const UserCheck& check, const char* status) {
    json out{{"kind", name_of(check.kind)},
             {"name", json_of_text(check.name)},
             {"category", check.category},
             {"severity", check.severity},
             {"database", json_of_text(check.database)},
             {"status", status},
             {"violations", nullptr},
             {"violations_is_lower_bound", false},
             {"samples", json::array()},
             {"seconds", 0},
             {"error", nullptr}};
    if (!check.object.empty())
        out["object"] = json_of_text(check.object);
    return out;
}

json told_of_skipped(const UserCheck& check, const std::string& why) {
    json out = told_of(check, "skipped");
    out["error"] = {{"message", why}};
    return out;
}

// One check on its way: the session asks, and what comes next depends on the answer.
class Run {
 public:
    Run(const UserCheck& check, size_t number) : check_(check), number_(number) {}

    const UserCheck& check() const { return check_; }
    size_t number() const { return number_; }
    Session* session() { return session_.get(); }
    bool is_lost() const { return answer_.lost; }
    const SqlResult& answer() const { return answer_; }

    void start(const SessionTarget& reader, Watch& watch) {
        begin_ = monotonic_nanos();
        answer_ = Session::connect(reader, check_.database, watch, session_);
        if (!session_) {
            // A server that answers has not gone.
            const size_t words = answer_.message.find(kFatal);
            answer_.lost = words == std::string::npos ||
                           answer_.message.find("FATAL:  the database system is ") == words;
            if (!answer_.lost)
                answer_.message.erase(0, words + kFatal.size());
            return;
        }
        connected_ = true;
        const std::string timeout = std::to_string(check_.timeout_ms);
        session_->send(
            "BEGIN TRANSACTION READ ONLY; SET LOCAL search_path = \"$user\", public; "
            "SET LOCAL lock_timeout = " +
            timeout + "; SET LOCAL idle_in_transaction_session_timeout = " + timeout +
            "; SET LOCAL statement_timeout = " + timeout +
            (check_.without_indexes && !makes_checks() ? std::string("; ") + without_indexes()
                                                       : std::string()));
    }

    bool makes_checks() const { return !check_.ready_made.empty(); }
    /// Of one that makes checks, where it did not fail.
    std::vector<MadeCheck>& made() { return made_; }
    bool is_of_missing_database() const {
        return answer_.failed && !connected_ &&
               answer_.message == "database \"" + check_.database + "\" does not exist";
    }

    /// True when it has come to its end, whatever that is.
    bool step() {
        if (!session_)
            return true;
        if (monotonic_nanos() > deadline()) {
            answer_.failed = true;
            answer_.sqlstate = "57014";
            answer_.message = "the server did not end the check in time";
            session_.reset();
            return true;
        }
        auto result = session_->poll();
        if (!result)
            return false;
        answer_ = std::move(*result);
        return answer_.failed || answer_.lost || !send_next();
    }

    /// What came out; after the last step.
    json told() const {
        json out = told_of(check_, status().c_str());
        out["violations"] = violations_;
        out["violations_is_lower_bound"] = is_lower_bound_;
        out["samples"] = samples_;
        out["seconds"] = static_cast<double>(monotonic_nanos() - begin_) / kNanosPerSecond;
        if (answer_.failed) {
            out["violations"] = nullptr;
            out["error"] = {{"sqlstate", answer_.sqlstate},
                            {"message", json_of_text(answer_.message)}};
            if (!answer_.detail.empty())
                out["error"]["detail"] = json_of_text(answer_.detail);
            if (!answer_.hint.empty())
                out["error"]["hint"] = json_of_text(answer_.hint);
        } else if (wrong_) {
            out["error"] = {{"message", json_of_text(*wrong_)}};
        }
        return out;
    }

    std::string status() const {
        if (answer_.failed)
            return "error";
        return wrong_ || violations_ > check_.threshold ? "failed" : "passed";
    }

    /// Why it is not passed, for people. Without a word of the data: more people may see that a
    /// check failed than may see what is in its tables.
    std::string message() const {
        if (answer_.lost)
            return "the scratch server went down while it ran";
        if (answer_.failed && !connected_)
            return "it could not run: " + answer_.message;
        if (answer_.failed)
            return "it could not run (SQLSTATE " + answer_.sqlstate + ")";
        if (wrong_)
            return "the answer is not what is expected";
        return (is_lower_bound_ ? "at least " : "") + std::to_string(violations_) +
               (violations_ == 1 ? " violation" : " violations") +
               (check_.threshold > 0
                    ? ", of which " + std::to_string(check_.threshold) + " are tolerated"
                    : "");
    }

    /// What more there is to say. May show data: the server quotes it, and samples are it.
    std::string detail() const {
        if (answer_.failed && !connected_ && !answer_.lost)
            return answer_.detail;
        if (answer_.failed)
            return "The server says: " + answer_.message +
                   (answer_.detail.empty() ? "" : " " + answer_.detail);
        if (wrong_)
            return *wrong_;
        return samples_.empty() ? "" : "The first: " + samples_.front().dump() + ".";
    }

 private:
    static constexpr std::string_view kFatal = "FATAL:  ";

    enum class State { beginning, declaring, limiting, fetching, limiting_rest, moving };

    int64_t deadline() const {
        return begin_ + static_cast<int64_t>(check_.timeout_ms) * 1000000 + kPatienceNanos;
    }

    // All of it together has the time of one statement.
    std::string rest_of_time() const {
        const int64_t passed = (monotonic_nanos() - begin_) / 1000000;
        const int64_t left = static_cast<int64_t>(check_.timeout_ms) - passed;
        return "SET LOCAL statement_timeout = " + std::to_string(std::max<int64_t>(left, 1));
    }

    // False: that was all.
    bool send_next() {
        switch (state_) {
            case State::beginning:
                state_ = State::declaring;
                session_->send_alone(declare_statement(check_));
                return true;
            case State::declaring:
                state_ = State::limiting;
                session_->send(rest_of_time());
                return true;
            case State::limiting:
                state_ = State::fetching;
                session_->send("FETCH FORWARD " +
                               std::to_string(makes_checks() ? kMostMade : kSamples) +
                               " FROM ark_check");
                return true;
            case State::fetching:
                if (makes_checks()) {
                    take_made();
                    return false;
                }
                take_first();
                if (wrong_ || answer_.rows().size() < kSamples)
                    return false;
                state_ = State::limiting_rest;
                session_->send(rest_of_time());
                return true;
            case State::limiting_rest:
                state_ = State::moving;
                if (check_.predicate) {
                    session_->send("FETCH FORWARD ALL FROM ark_check");
                } else {
                    session_->send("MOVE FORWARD " + std::to_string(kMostCounted) +
                                   " FROM ark_check");
                }
                return true;
            case State::moving:
                break;
        }
        if (check_.predicate) {
            wrong_ = why_not_expected(check_, answer_.rows());
        } else if (check_.kind == UserCheck::Kind::integrity) {
            violations_ += answer_.affected;
            is_lower_bound_ = answer_.affected == kMostCounted;
        }
        return false;
    }

    void take_made() {
        auto made = made_checks(check_, answer_.rows());
        if (made) {
            made_ = std::move(*made);
        } else {
            answer_.failed = true;
            answer_.sqlstate = "22021";
            answer_.message = "what the catalogs say cannot be read";
        }
    }

    void take_first() {
        if (check_.kind == UserCheck::Kind::critical) {
            wrong_ = why_not_expected(check_, answer_.rows());
            violations_ = wrong_ ? 1 : 0;
        } else {
            violations_ = answer_.rows().size();
        }
        for (const SqlRow& row : answer_.rows())
            samples_.push_back(json_of_row(answer_.columns, row));
    }

    const UserCheck& check_;
    const size_t number_;
    std::unique_ptr<Session> session_;
    bool connected_ = false;
    State state_ = State::beginning;
    SqlResult answer_;
    uint64_t violations_ = 0;
    bool is_lower_bound_ = false;
    std::optional<std::string> wrong_;
    std::vector<MadeCheck> made_;
    json samples_ = json::array();
    int64_t begin_ = 0;
};

class Runner {
 public:
    Runner(UserCheckContext& context, TaskPool& pool, Watch& watch,
           const std::vector<UserCheck>& checks)
        : context_(context), pool_(pool), watch_(watch), asked_(checks.size()) {
        for (const UserCheck& check : checks) {
            queue_.push_back(entries_.size());
            entries_.push_back({check, {}, {}, {}});
        }
    }

    bool run() {
        bool alive = true;
        while (alive && (!queue_.empty() || !suspects_.empty()))
            alive = run_lanes(suspects_.empty() ? queue_ : suspects_,
                              suspects_.empty() ? context_.jobs : 1);
        for (Entry& entry : entries_) {
            if (entry.told.is_null())
                entry.told = told_of_skipped(entry.check, "the scratch server was lost");
        }
        leave_out_what_is_too_much();
        for (size_t i = 0; i < asked_; ++i)
            tell(entries_[i]);
        return alive;
    }

 private:
    struct Entry {
        UserCheck check;
        json told;                                ///< null: nothing has come out yet
        std::optional<std::vector<size_t>> made;  ///< what takes its place
        bool left_out = false;
    };

    void tell(Entry& entry) {
        if (entry.made) {
            for (const size_t number : *entry.made)
                tell(entries_[number]);
        } else if (!entry.left_out) {
            context_.results->push_back(std::move(entry.told));
        }
    }

    // Those that passed go first: what did not is worth more words.
    void leave_out_what_is_too_much() {
        size_t bytes = 0;
        size_t passed = 0;
        size_t others = 0;
        for (const bool wants_passed : {false, true}) {
            for (size_t i = asked_; i < entries_.size(); ++i) {
                Entry& entry = entries_[i];
                if ((entry.told["status"] == "passed") != wants_passed)
                    continue;
                bytes += entry.told.dump().size() - entry.told["samples"].dump().size();
                entry.left_out = bytes > kMostMadeBytes;
                if (entry.left_out)
                    ++(wants_passed ? passed : others);
            }
        }
        if (passed + others > 0)
            context_.notes->push_back(
                std::to_string(passed + others) +
                " more results of ready-made checks are not listed: " + std::to_string(passed) +
                " passed, " + std::to_string(others) + " did not");
    }

    bool run_lanes(std::deque<size_t>& queue, int jobs) {
        std::vector<std::unique_ptr<Run>> lanes(static_cast<size_t>(std::max(jobs, 1)));
        for (;;) {
            std::vector<int> sockets;
            for (auto& lane : lanes) {
                feed(lane, queue);
                if (lane && lane->session() != nullptr)
                    sockets.push_back(lane->session()->socket());
            }
            if (std::ranges::none_of(lanes, [](const auto& lane) { return lane != nullptr; }))
                return true;
            if (!sockets.empty())
                wait_for_input(sockets, kPauseMillis);
            watch_.tick();
            for (auto& lane : lanes) {
                if (!lane || !lane->step())
                    continue;
                if (lane->is_lost())
                    return went_down(lanes);
                finish(*lane);
                lane.reset();
            }
        }
    }

    void feed(std::unique_ptr<Run>& lane, std::deque<size_t>& queue) {
        if (lane || queue.empty())
            return;
        const size_t number = queue.front();
        queue.pop_front();
        const UserCheck& check = entries_[number].check;
        lane = std::make_unique<Run>(check, number);
        watch_.at(check.name + (check.object.empty() ? "" : ": " + check.object), done_,
                  entries_.size());
        lane->start(context_.reader, watch_);
    }

    // As TaskPool does it: which one it was shows when each is asked on its own.
    bool went_down(std::vector<std::unique_ptr<Run>>& lanes) {
        std::vector<std::unique_ptr<Run>> running;
        for (auto& lane : lanes) {
            if (lane)
                running.push_back(std::move(lane));
        }
        const bool alive = pool_.revive();
        if (running.size() == 1) {
            finish(*running.front());
        } else {
            for (const auto& run : running)
                suspects_.push_back(run->number());
            std::ranges::sort(suspects_);
        }
        return alive;
    }

    void finish(Run& run) {
        ++done_;
        if (run.makes_checks() && run.status() == "passed") {
            take_made(run);
            return;
        }
        const UserCheck& check = run.check();
        if (!check.ready_made.empty() && run.is_of_missing_database()) {
            entries_[run.number()].told =
                told_of_skipped(check, "the backup has no database of this name");
            note(check.database + ": check " + check.name +
                 " was left out: the backup has no database of this name");
            return;
        }
        json told = run.told();
        const size_t bytes = told["samples"].dump().size();
        if (sample_bytes_ + bytes > kMostSampleBytes) {
            told["samples"] = json::array();
        } else {
            sample_bytes_ += bytes;
        }
        entries_[run.number()].told = std::move(told);
        if (run.status() == "passed")
            return;
        if (is_finding(check)) {
            add_finding(run);
        } else {
            note_failure(check, run.message());
        }
    }

    static bool is_finding(const UserCheck& check) {
        return check.is_grave() || check.kind == UserCheck::Kind::critical;
    }

    void note(const std::string& text) {
        if (context_.notes->size() < kMostNotes)
            context_.notes->push_back(text);
    }

    void note_failure(const UserCheck& check, const std::string& message) {
        note(check.database + ": check " + check.name + " (" + check.severity +
             "): " + (check.object.empty() ? "" : check.object + ": ") + message);
    }

    // They come next: the order of the tiers is kept.
    void take_made(Run& run) {
        std::vector<size_t> numbers;
        for (MadeCheck& made : run.made()) {
            numbers.push_back(entries_.size());
            entries_.push_back({std::move(made.check), {}, {}, {}});
            Entry& entry = entries_.back();
            if (!made.skip.empty()) {
                entry.told = told_of_skipped(entry.check, made.skip);
            } else if (made.locked) {
                take_locked(entry);
            }
        }
        if (numbers.size() == kMostMade)
            note(run.check().database + ": check " + run.check().name + " makes more than " +
                 std::to_string(kMostMade) + " checks, of which no more were run");
        for (size_t i = numbers.size(); i-- > 0;) {
            if (entries_[numbers[i]].told.is_null())
                queue_.push_front(numbers[i]);
        }
        entries_[run.number()].told = json::object();
        entries_[run.number()].made = std::move(numbers);
    }

    // By whom, in a copy that is nobody's, is not to be known.
    void take_locked(Entry& entry) {
        const UserCheck& check = entry.check;
        entry.told = told_of(check, "error");
        entry.told["error"] = {{"sqlstate", "55P03"}, {"message", "the table is locked"}};
        const std::string message = "it could not run: the table is locked";
        if (is_finding(check)) {
            context_.findings->add(finding_of(check, message));
        } else {
            note_failure(check, message);
        }
    }

    static Finding finding_of(const UserCheck& check, const std::string& message) {
        Finding finding;
        finding.check = check.kind == UserCheck::Kind::critical ? "critical_function" : "integrity";
        finding.database = check.database;
        finding.object = check.name;
        finding.relation = check.table;
        finding.message = label_of(check) + ": " + message;
        return finding;
    }

    void add_finding(const Run& run) {
        Finding finding = finding_of(run.check(), run.message());
        finding.detail = run.detail();
        if (run.answer().failed) {
            finding.hint = run.answer().hint;
            // What the check's own code says may look like a place, and be a value.
            if (!is_of_code(run.answer())) {
                finding.block = block_in(run.answer().message);
                finding.path = path_in(run.answer().message).value_or("");
            }
        }
        context_.findings->add(std::move(finding));
    }

    static constexpr size_t kMostNotes = 200;

    UserCheckContext& context_;
    TaskPool& pool_;
    Watch& watch_;
    const size_t asked_;         ///< so many entries were asked for; the others were made
    std::deque<Entry> entries_;  ///< by the check's number; none moves when others come
    std::deque<size_t> queue_;
    std::deque<size_t> suspects_;
    size_t sample_bytes_ = 0;
    uint64_t done_ = 0;
};

}  // namespace

std::optional<std::vector<MadeCheck>> made_checks(const UserCheck& from,
                                                  const std::vector<SqlRow>& rows) {
    std::vector<MadeCheck> out;
    out.reserve(rows.size());
    for (const SqlRow& row : rows) {
        const json made = json::parse(row.empty() ? "" : row[0].value_or(""), nullptr, false);
        if (!made.is_object())
            return std::nullopt;
        const auto text = [&](const char* key) {
            const auto found = made.find(key);
            return found != made.end() && found->is_string() ? found->get<std::string>() : "";
        };
        MadeCheck one{from, text("skip"), made.value("locked", json()) == true};
        one.check.ready_made.clear();
        one.check.object = text("object");
        one.check.sql = text("sql");
        const json tables = made.value("tables", json());
        if (tables.is_array() && !tables.empty() && tables.front().is_string())
            one.check.table = tables.front().get<std::string>();
        if (one.check.sql.empty() && one.skip.empty() && !one.locked)
            one.skip = "the catalogs say too little about it";
        out.push_back(std::move(one));
    }
    return out;
}

std::string declare_statement(const UserCheck& check) {
    const std::string begin = "DECLARE ark_check NO SCROLL CURSOR FOR ";
    if (!check.ready_made.empty())
        return begin + "SELECT pg_catalog.to_jsonb(made) FROM (" + check.sql + "\n) AS made";
    if (!check.predicate)
        return begin + check.sql;
    return begin + "SELECT (" + *check.predicate + "\n) FROM (" + without_semicolon(check.sql) +
           "\n) AS result";
}

json json_of_row(const std::vector<SqlColumn>& columns, const SqlRow& row) {
    constexpr uint32_t kBool = 16;
    constexpr uint32_t kInt8 = 20;
    constexpr uint32_t kInt2 = 21;
    constexpr uint32_t kInt4 = 23;
    json out = json::object();
    for (size_t i = 0; i < row.size() && i < columns.size(); ++i) {
        const uint32_t type = columns[i].type;
        json value;
        if (row[i] && type == kBool) {
            value = *row[i] == "t";
        } else if (row[i] && (type == kInt8 || type == kInt2 || type == kInt4)) {
            value = std::stoll(*row[i]);
        } else if (row[i]) {
            value = json_of_text(shortened(*row[i]));
        }
        out[is_utf8(columns[i].name) ? columns[i].name : "column " + std::to_string(i + 1)] =
            std::move(value);
    }
    return out;
}

std::optional<std::string> why_not_expected(const UserCheck& check,
                                            const std::vector<SqlRow>& rows) {
    if (check.predicate) {
        if (rows.empty())
            return "it gave no row, of which " + *check.predicate + " could be true";
        const bool all = std::ranges::all_of(
            rows, [](const SqlRow& row) { return !row.empty() && row[0] == "t"; });
        return all ? std::nullopt : std::optional("not true: " + *check.predicate);
    }
    if (!check.expected)
        return std::nullopt;
    if (rows.size() != 1 || rows[0].empty())
        return "it gave " + (rows.size() >= kSamples ? "many" : std::to_string(rows.size())) +
               " rows, where one was expected: " + *check.expected;
    if (rows[0][0] == *check.expected)
        return std::nullopt;
    return "it gave " + (rows[0][0] ? "\"" + shortened(*rows[0][0]) + "\"" : "null") +
           ", expected was \"" + *check.expected + "\"";
}

bool run_user_checks(UserCheckContext& context, TaskPool& pool, Watch& watch,
                     const std::vector<UserCheck>& checks) {
    return Runner(context, pool, watch, checks).run();
}

void skip_user_checks(UserCheckContext& context, const std::vector<UserCheck>& checks,
                      const std::string& why) {
    for (const UserCheck& check : checks)
        context.results->push_back(told_of_skipped(check, why));
}

}  // namespace ark
