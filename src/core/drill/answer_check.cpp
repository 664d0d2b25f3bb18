#include "core/drill/answer_check.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <unordered_map>

#include "core/archive/wal_source.hpp"
#include "core/drill/changes_since.hpp"
#include "core/repo/answers.hpp"
#include "core/repo/json_text.hpp"

namespace ark {

namespace {

using nlohmann::json;

constexpr int kPauseMillis = 50;
// As the tables' query has it: of more it tells no more.
constexpr size_t kMostTables = 20000;
constexpr const char* kWhen = " when the backup was taken";

struct RecordedCatalog {
    CatalogAnswer asked;
    std::vector<ObjectAnswer> objects;
};

struct RecordedDatabase {
    AnsweringDatabase asked;
    std::vector<RecordedCatalog> catalogs;
    std::vector<TableAnswer> tables;
    std::vector<ValueAnswer> values;
};

struct Recorded {
    std::vector<RecordedDatabase> databases;
    std::map<std::string, uint64_t> left_out;

    // What stands before its database or catalog is no answer of ours.
    void add(Answer answer) {
        if (auto* database = std::get_if<AnsweringDatabase>(&answer)) {
            databases.push_back({std::move(*database), {}, {}, {}});
        } else if (auto* left = std::get_if<LeftOut>(&answer)) {
            left_out[left->why] += left->count;
        } else if (databases.empty()) {
            throw Error(ErrorCode::corrupt, "answers of no database");
        } else if (auto* catalog = std::get_if<CatalogAnswer>(&answer)) {
            databases.back().catalogs.push_back({std::move(*catalog), {}});
        } else if (auto* table = std::get_if<TableAnswer>(&answer)) {
            databases.back().tables.push_back(std::move(*table));
        } else if (auto* value = std::get_if<ValueAnswer>(&answer)) {
            databases.back().values.push_back(std::move(*value));
        } else if (databases.back().catalogs.empty()) {
            throw Error(ErrorCode::corrupt, "objects of no catalog");
        } else {
            databases.back().catalogs.back().objects.push_back(
                std::move(std::get<ObjectAnswer>(answer)));
        }
    }
};

/// How much of one kind was compared.
struct Count {
    uint64_t compared = 0;
    uint64_t differing = 0;
    uint64_t left_out = 0;   ///< changed since
    uint64_t not_asked = 0;  ///< could not be, in the copy

    json told() const {
        return {{"compared", compared},
                {"differing", differing},
                {"left_out", left_out},
                {"not_asked", not_asked}};
    }

    Count operator+(const Count& other) const {
        return {compared + other.compared, differing + other.differing, left_out + other.left_out,
                not_asked + other.not_asked};
    }
};

/// A table of the copy, as the recorded query tells of it.
struct TableNow {
    std::string query;
    std::string shape;
};

std::string text_of(const std::optional<std::string>& value) {
    return value.value_or("");
}

uint64_t number_of(const std::optional<std::string>& text) {
    uint64_t value = 0;
    if (text)
        std::from_chars(text->data(), text->data() + text->size(), value);
    return value;
}

// The source has answered, code of PostgreSQL's own made the answer, and nothing has changed since:
// an error is damage, whatever it calls itself (a value that its own type cannot show, say). But
// what says something of the server that was asked, or of its host, and nothing of the copy:
// a query cancelled, a shutdown, resources, rights, a library or a compression that is not there,
// a smaller stack.
bool is_of_server(const SqlResult& result, const std::string& database) {
    constexpr std::array kOfServer{"57014", "57P01", "57P02", "57P03", "57P04",
                                   "57P05", "42501", "42883", "0A000", "54001"};
    return result.sqlstate.starts_with("53") ||
           std::ranges::find(kOfServer, result.sqlstate) != kOfServer.end() ||
           missing_library(result, database);
}

std::string rows_text(uint64_t count) {
    return std::to_string(count) + (count == 1 ? " row" : " rows");
}

class AnswerCheck {
 public:
    AnswerCheck(AnswerCheckContext& context, TaskPool& pool,
                const std::vector<DatabaseInfo>& databases, Watch& watch)
        : context_(context), pool_(pool), databases_(databases), watch_(watch) {}

    bool run() {
        if (!load() || !read_wal())
            return true;
        for (const RecordedDatabase& database : recorded_.databases) {
            if (!check(database))
                return false;
        }
        tell();
        return true;
    }

 private:
    bool load() {
        if (context_.marker.answers_sha256.empty()) {
            context_.notes->emplace_back(
                "the backup has no answers of the databases (pg_ark.census): catalogs and rows "
                "were not compared with what they were");
            return false;
        }
        try {
            AnswersReader reader(context_.repository, context_.marker.cluster,
                                 context_.marker.backup_id, context_.marker.answers_sha256);
            while (auto answer = reader.next())
                recorded_.add(std::move(*answer));
            return true;
        } catch (const Error& error) {
            if (error.code != ErrorCode::corrupt && error.code != ErrorCode::not_found)
                throw;
            Finding finding = finding_of("census", error);
            finding.object =
                context_.marker.cluster + "/" + place::answers(context_.marker.backup_id);
            context_.findings->add(std::move(finding));
            return false;
        }
    }

    bool read_wal() {
        for (const RecordedDatabase& database : recorded_.databases) {
            for (const RecordedCatalog& catalog : database.catalogs)
                changes_.want(catalog.asked.file, catalog.asked.lsn, true);
            for (const TableAnswer& table : database.tables)
                want(table.files, table.lsn);
            for (const ValueAnswer& value : database.values)
                want(value.files, value.lsn);
        }
        RepositoryWal wal(context_.repository, context_.marker.cluster,
                          context_.marker.wal_segment_size, context_.way);
        const auto segment = [&](uint64_t number) {
            watch_.tick();
            return wal.read_segment(number);
        };
        std::string why = "it ends before the place that recovery came to";
        try {
            if (changes_.read(context_.marker.wal_segment_size, segment, context_.reached,
                              [&] { watch_.tick(); }))
                return true;
        } catch (const Error& error) {
            if (error.code != ErrorCode::corrupt && error.code != ErrorCode::unsupported)
                throw;
            why = error.message;
        }
        context_.notes->push_back(
            "catalogs and rows were not compared with what they were, since what has changed "
            "since cannot be read from WAL: " +
            why);
        return false;
    }

    void want(const std::vector<RelationId>& files, Lsn since) {
        for (const RelationId& file : files)
            changes_.want(file, since, false);
    }

    bool changed(const std::vector<RelationId>& files, Lsn since) const {
        return std::ranges::any_of(
            files, [&](const RelationId& file) { return changes_.changed(file, since); });
    }

    // By its number: it may have another name by now.
    bool check(const RecordedDatabase& database) {
        name_.clear();
        const auto now = std::ranges::find(databases_, database.asked.oid, &DatabaseInfo::oid);
        if (now == databases_.end() || now->half_dropped) {
            if (!changes_.database_changed(database.asked.oid))
                add(database, {}, "database \"" + database.asked.name + "\" is missing", {});
            return true;
        }
        name_ = now->name;
        settings_ = &database.asked.settings;
        session_.reset();
        for (const RecordedCatalog& catalog : database.catalogs) {
            if (!check(database, catalog))
                return false;
        }
        if (!check_tables(database))
            return false;
        const bool may_ask = database.values.empty() || context_.before_values(name_);
        return !may_ask || check_values(database);
    }

    void add(const RecordedDatabase& database, const std::string& relation,
             const std::string& message, const std::string& detail) {
        Finding finding;
        finding.check = "census";
        finding.database = now_or(database.asked.name);
        finding.relation = relation;
        finding.message = message;
        finding.detail = detail;
        context_.findings->add(std::move(finding));
    }

    std::string now_or(const std::string& name) const { return name_.empty() ? name : name_; }

    // Puts one query in a transaction that may only read. False when the server is lost for good;
    // `out.lost` where this query did it.
    bool ask(const std::string& sql, const std::string& search_path, uint64_t timeout_ms,
             SqlResult& out) {
        out = SqlResult();
        if (!session_) {
            out = Session::connect(context_.reader, name_, watch_, session_);
            if (!session_) {
                out.failed = true;
                return true;
            }
            out = session_->query(settings(), watch_);
        }
        if (!out.failed)
            out = session_->query("SET search_path = " + search_path +
                                      "; SET statement_timeout = " + std::to_string(timeout_ms),
                                  watch_);
        if (!out.failed) {
            session_->send_alone(sql);
            for (auto answer = session_->poll();; answer = session_->poll()) {
                if (answer) {
                    out = std::move(*answer);
                    break;
                }
                wait_for_input({session_->socket()}, kPauseMillis);
                watch_.tick();
            }
        }
        if (!out.lost)
            return true;
        session_.reset();
        return pool_.revive();
    }

    std::string settings() const {
        std::string out = "SET default_transaction_read_only = on";
        for (const auto& [name, value] : *settings_)
            out += "; SELECT pg_catalog.set_config(" + quote_sql_literal(name) + ", " +
                   quote_sql_literal(value) + ", false)";
        return out;
    }

    void add_failure(const RecordedDatabase& database, const std::string& relation,
                     const SqlResult& result, Count& count) {
        if (is_of_server(result, name_)) {
            ++count.not_asked;
            context_.notes->push_back(name_ + ": " + relation +
                                      " was not compared with what it was: " + result.message);
            return;
        }
        ++count.compared;
        ++count.differing;
        add(database, relation, result.message, result.detail);
    }

    bool check(const RecordedDatabase& database, const RecordedCatalog& catalog) {
        const std::string relation = "pg_catalog." + catalog.asked.name;
        watch_.at(relation, 0, 0);
        SqlResult result;
        if (!ask(catalog.asked.query, "pg_catalog", 0, result))
            return false;
        if (result.failed) {
            add_failure(database, relation, result, objects_);
            return true;
        }
        std::unordered_map<std::string, const SqlRow*> now;
        for (const SqlRow& row : result.rows())
            now[text_of(row[0])] = &row;
        for (const ObjectAnswer& object : catalog.objects)
            compare(database, catalog, object, now);
        for (const auto& [key, row] : now)
            look_at_new(database, catalog, *row);
        return true;
    }

    // Removes it from `now`.
    void compare(const RecordedDatabase& database, const RecordedCatalog& catalog,
                 const ObjectAnswer& object, std::unordered_map<std::string, const SqlRow*>& now) {
        const auto found = now.find(object.key);
        const SqlRow* row = found == now.end() ? nullptr : found->second;
        if (row != nullptr)
            now.erase(found);
        // Of a whole block, what came in meanwhile is in the sum.
        const bool mixed =
            row != nullptr && object.key.starts_with('b') && text_of((*row)[5]) == "t";
        if (object.doubt || mixed ||
            changes_.changed(catalog.asked.file, object.block, catalog.asked.lsn)) {
            ++objects_.left_out;
            return;
        }
        ++objects_.compared;
        const std::string what = object.name.empty() ? rows_text(object.count) + " of block " +
                                                           std::to_string(object.block) +
                                                           " of pg_catalog." + catalog.asked.name
                                                     : object.name;
        const std::string was = rows_text(object.count) + " with the sum " + object.sum;
        if (row == nullptr) {
            differs(database, catalog, what + " is missing", "There was " + was + kWhen + ".");
        } else if (number_of((*row)[2]) != object.count || text_of((*row)[3]) != object.sum) {
            differs(database, catalog, what + " is not what it was" + kWhen,
                    "There was " + was + ", and is " + rows_text(number_of((*row)[2])) +
                        " with the sum " + text_of((*row)[3]) + ".");
        }
    }

    void look_at_new(const RecordedDatabase& database, const RecordedCatalog& catalog,
                     const SqlRow& row) {
        if (text_of(row[5]) == "t")
            return;
        if (changes_.changed(catalog.asked.file, number_of(row[1]), catalog.asked.lsn)) {
            ++objects_.left_out;
            return;
        }
        ++objects_.compared;
        const std::string name = text_of(row[6]);
        differs(database, catalog,
                (name.empty() ? "a row of pg_catalog." + catalog.asked.name : name) +
                    " was not there" + kWhen,
                "It is in block " + text_of(row[1]) + ", which has not changed since.");
    }

    void differs(const RecordedDatabase& database, const RecordedCatalog& catalog,
                 const std::string& message, const std::string& detail) {
        ++objects_.differing;
        add(database, "pg_catalog." + catalog.asked.name, message, detail);
    }

    bool list_tables(const RecordedDatabase& database, bool& listed) {
        now_.clear();
        listed = false;
        if (database.asked.tables_query.empty())
            return true;
        SqlResult result;
        if (!ask(database.asked.tables_query, "pg_catalog", 0, result))
            return false;
        if (result.failed) {
            add_failure(database, "pg_catalog.pg_class", result, tables_);
            return true;
        }
        for (const SqlRow& row : result.rows())
            now_[static_cast<uint32_t>(number_of(row[0]))] = {text_of(row[6]), text_of(row[7])};
        listed = true;
        return true;
    }

    bool check_tables(const RecordedDatabase& database) {
        if (!list_tables(database, listed_))
            return false;
        if (!listed_)
            return true;
        for (const TableAnswer& table : database.tables) {
            watch_.at(table.name, 0, 0);
            if (!check(database, table))
                return false;
        }
        return true;
    }

    bool check(const RecordedDatabase& database, const TableAnswer& table) {
        const auto now = now_.find(table.oid);
        const bool unlisted = now == now_.end() && now_.size() >= kMostTables;
        const bool reshaped = now != now_.end() && now->second.shape != table.shape;
        if (changed(table.files, table.lsn) || unlisted || reshaped) {
            ++tables_.left_out;
            return true;
        }
        if (now == now_.end()) {
            ++tables_.compared;
            ++tables_.differing;
            add(database, table.name, "the table is missing",
                "It had " + rows_text(table.rows) + kWhen + ".");
            return true;
        }
        SqlResult result;
        if (!ask(now->second.query, "pg_catalog", 0, result))
            return false;
        if (result.failed || result.rows().empty()) {
            add_failure(database, table.name, result, tables_);
            return true;
        }
        ++tables_.compared;
        compare(database, table, number_of(result.rows().front()[0]), result.rows().front()[1]);
        return true;
    }

    void compare(const RecordedDatabase& database, const TableAnswer& table, uint64_t rows,
                 const std::optional<std::string>& sum) {
        if (rows == table.rows && sum == table.sum)
            return;
        ++tables_.differing;
        if (rows != table.rows) {
            add(database, table.name,
                "the table has " + rows_text(rows) + ", and had " + rows_text(table.rows) + kWhen,
                "Nothing has changed it since, as WAL tells.");
        } else {
            add(database, table.name,
                "the table has as many rows as" + std::string(kWhen) + ", with other values",
                "The sum of their hashes is " + text_of(sum) + ", and was " + text_of(table.sum) +
                    ".");
        }
    }

    bool check_values(const RecordedDatabase& database) {
        for (const ValueAnswer& value : database.values) {
            watch_.at(value.name, 0, 0);
            if (!check(database, value))
                return false;
        }
        return true;
    }

    bool check(const RecordedDatabase& database, const ValueAnswer& value) {
        const bool reshaped = std::ranges::any_of(value.shapes, [&](const auto& shape) {
            const auto now = now_.find(shape.first);
            return now == now_.end() || now->second.shape != shape.second;
        });
        if (!listed_ || reshaped || changed(value.files, value.lsn)) {
            ++values_.left_out;
            tell(value, "left_out");
            return true;
        }
        SqlResult result;
        if (!ask(value.query, "\"$user\", public", value.timeout_ms, result))
            return false;
        session_.reset();  // the users' code may have set something
        std::vector<std::string> rows;
        for (const SqlRow& row : result.rows())
            rows.push_back(row[0].value_or("null"));
        // Code of the users' that does not run in the copy is no damage.
        if (result.failed && is_of_code(result)) {
            ++values_.not_asked;
            tell(value, "error");
            context_.notes->push_back(name_ + ": the recorded value \"" + value.name +
                                      "\" could not be asked in the copy: " + result.message);
            return true;
        }
        ++values_.compared;
        const bool same = !result.failed && rows == value.rows;
        tell(value, same ? "same" : "differs");
        if (!same) {
            ++values_.differing;
            add_value(database, value, result, rows);
        }
        return true;
    }

    void add_value(const RecordedDatabase& database, const ValueAnswer& value,
                   const SqlResult& result, const std::vector<std::string>& rows) {
        Finding finding;
        finding.check = "census";
        finding.database = now_or(database.asked.name);
        finding.object = value.name;
        if (result.failed) {
            finding.message = result.message;
            finding.detail = result.detail;
        } else {
            finding.message =
                "the recorded value \"" + value.name + "\" is another one than" + kWhen;
            finding.detail = "It is " + shown(rows) + ", and was " + shown(value.rows) + ".";
        }
        context_.findings->add(std::move(finding));
    }

    static std::string shown(const std::vector<std::string>& rows) {
        constexpr size_t kMost = 300;
        std::string text;
        for (const std::string& row : rows) {
            text += (text.empty() ? "" : ", ") + row;
            if (text.size() > kMost)
                break;
        }
        if (text.empty())
            return "no row";
        size_t end = std::min(text.size(), kMost);
        while (end < text.size() && end > 0 &&
               (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80)
            --end;
        return end < text.size() ? text.substr(0, end) + "…" : text;
    }

    void tell(const ValueAnswer& value, const char* status) {
        told_values_.push_back({{"name", json_of_text(value.name)},
                                {"database", json_of_text(name_)},
                                {"status", status}});
    }

    void tell() {
        json& told = *context_.told;
        told = (objects_ + tables_ + values_).told();
        told["objects"] = objects_.told();
        told["tables"] = tables_.told();
        told["values"] = values_.told();
        told["recorded_values"] = told_values_;
        told["not_recorded"] = json::array();
        for (const auto& [why, count] : recorded_.left_out)
            told["not_recorded"].push_back({{"why", why}, {"count", count}});
        note_tables(tables_.left_out, "changed since, and were not compared with what they were");
        note_tables(tables_.not_asked,
                    "could not be asked in the copy, and were not compared with what they were");
    }

    void note_tables(uint64_t count, const std::string& what) {
        const uint64_t all = tables_.left_out + tables_.not_asked + tables_.compared;
        if (count > 0)
            context_.notes->push_back(std::to_string(count) + " of " + std::to_string(all) +
                                      " recorded tables " + what);
    }

    AnswerCheckContext& context_;
    TaskPool& pool_;
    const std::vector<DatabaseInfo>& databases_;
    Watch& watch_;
    Recorded recorded_;
    ChangesSince changes_;
    std::string name_;  ///< of the database, in the copy
    const std::vector<std::pair<std::string, std::string>>* settings_ = nullptr;
    std::unique_ptr<Session> session_;
    std::unordered_map<uint32_t, TableNow> now_;
    bool listed_ = false;
    Count objects_;
    Count tables_;
    Count values_;
    json told_values_ = json::array();
};

}  // namespace

bool check_answers(AnswerCheckContext& context, TaskPool& pool,
                   const std::vector<DatabaseInfo>& databases, Watch& watch) {
    return AnswerCheck(context, pool, databases, watch).run();
}

}  // namespace ark
