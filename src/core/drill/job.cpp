#include "core/drill/job.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <iterator>
#include <memory>
#include <set>
#include <tuple>
#include <unordered_map>

#include "core/base/clock.hpp"
#include "core/base/fault.hpp"
#include "core/base/memory.hpp"
#include "core/drill/answer_check.hpp"
#include "core/drill/database_questions.hpp"
#include "core/drill/page_check.hpp"
#include "core/drill/programs.hpp"
#include "core/drill/restored_files.hpp"
#include "core/drill/scratch_directory.hpp"
#include "core/drill/scratch_server.hpp"
#include "core/drill/server_log.hpp"
#include "core/drill/server_preparation.hpp"
#include "core/drill/tier_order.hpp"
#include "core/drill/user_check_run.hpp"
#include "core/drill/watch.hpp"
#include "core/pgdata/server_version.hpp"
#include "core/repo/chain.hpp"
#include "core/repo/json_text.hpp"
#include "core/repo/object.hpp"
#include "core/repo/vault_store.hpp"
#include "core/restore/destination.hpp"
#include "core/restore/plan.hpp"
#include "core/restore/tree.hpp"
#include "core/verify/freshness.hpp"
#include "core/verify/packs.hpp"

namespace ark {

namespace {

constexpr double kNanosPerSecond = 1e9;

// What it says of the backup; everything else says that nothing is known of it.
bool is_of_backup(const Error& error) {
    switch (error.code) {
        case ErrorCode::corrupt:
        case ErrorCode::target_unreachable:
        case ErrorCode::not_found:
        case ErrorCode::conflict:
            return true;
        default:
            return false;
    }
}

class Drill {
 public:
    Drill(Repository& repository, ArchivedWal& wal, const DrillRequest& request,
          DrillListener& listener)
        : repository_(repository), wal_(wal), request_(request), watch_(listener) {
        evidence_.test_id = request.test_id.empty() ? make_uuid() : request.test_id;
        evidence_.kind = request.is_drill ? "drill" : "restore_test";
        evidence_.backup_id = request.backup_id;
        evidence_.cluster = request.cluster;
        evidence_.host = make_writer({}).host;
        evidence_.program_version = PG_ARK_VERSION;
        evidence_.started_at = now_micros();
        for (const char* key : {"objectives", "history"}) {
            if (request.context.is_object() && request.context.contains(key) &&
                request.context[key].is_array())
                evidence_.verified[key] = request.context[key];
        }
        if (request.context.is_object())
            tiers_ = TierOrder(request.context.value("tiers", nlohmann::json()));
        if (request.is_drill)
            note_steps();
    }

    Evidence run() {
        const int64_t begin = monotonic_nanos();
        seconds_ = nlohmann::json::object();
        evidence_.verified["pages"] = nullptr;
        steps();
        const int64_t cleaned = monotonic_nanos();
        clean();
        seconds_["clean"] = seconds_since(cleaned);
        seconds_["total"] = seconds_since(begin);
        evidence_.verified["seconds"] = seconds_;
        if (recovered_)
            evidence_.verified["rto_seconds"] =
                seconds_["fetch"].get<double>() + seconds_["recover"].get<double>();
        evidence_.success = finished_ && evidence_.errors.count == 0;
        std::ranges::stable_sort(evidence_.errors.kept, {}, &Finding::tier);
        evidence_.completed_at = now_micros();
        watch_.enter(DrillPhase::done);
        return std::move(evidence_);
    }

 private:
    // A drill of few checks that finds nothing must not be taken for one of all.
    void note_steps() {
        const DrillSteps left_out = request_.steps.others();
        evidence_.verified["steps"] = {{"chosen", request_.steps.names()},
                                       {"left_out", left_out.names()}};
        if (!left_out.names().empty())
            evidence_.notes.push_back(
                "only these checks were made: " + joined_names(request_.steps) +
                "; nothing is said of the others");
    }

    static double seconds_since(int64_t begin) {
        return static_cast<double>(monotonic_nanos() - begin) / kNanosPerSecond;
    }

    template <typename Function>
    bool timed(DrillPhase phase, const char* name, const Function& step) {
        watch_.enter(phase);
        const int64_t begin = monotonic_nanos();
        const bool good = step();
        seconds_[name] = seconds_.value(name, 0.0) + seconds_since(begin);
        give_back_freed_memory();  // the scratch server can use it
        return good;
    }

    // Each goes on where the one before it has left something to look at.
    void steps() {
        if (!timed(DrillPhase::preparing, "prepare", [&] { return prepare(); }))
            return;
        const bool restored = timed(DrillPhase::restoring, "fetch", [&] { return restore(); });
        // It has one thread: with another one to be had, the objects are read meanwhile.
        std::optional<RunningProgram> files;
        if (restored && wants(DrillStep::files) && request_.jobs > 1)
            files.emplace(request_.program, verify_command(), *scratch_);
        if (wants(DrillStep::objects))
            timed(DrillPhase::verifying_objects, "verify_objects",
                  [&] { return verify_objects(request_.jobs - (files ? 1 : 0)); });
        if (!restored)
            return;
        if (wants(DrillStep::files)) {
            if (!files)
                files.emplace(request_.program, verify_command(), *scratch_);
            timed(DrillPhase::verifying_files, "verify_files",
                  [&] { return verify_files(*files); });
        }
        if (!timed(DrillPhase::recovering, "recover", [&] { return recover(); })) {
            add_known_corrupt_pages();
            return;
        }
        recovered_ = true;
        timed(DrillPhase::checking_pages, "pages", [&] { return pages(); });
        finished_ = check();
        if (server_)
            server_->kill();
    }

    bool wants(DrillStep step) const { return request_.steps.has(step); }

    bool prepare() {
        if (!find_marker() || !choose())
            return false;
        check_scratch_place(request_.scratch_directory, request_.keep_away, repository_.url());
        scratch_ =
            std::make_unique<ScratchDirectory>(request_.scratch_directory, evidence_.test_id);
        PG_ARK_FAULT_POINT("drill_directory_made");
        programs_ =
            find_programs(major(), request_.program_directory, request_.program, *scratch_, watch_);
        return true;
    }

    uint32_t major() const { return major_of(marker_.pg_version_num); }

    // Where a drill is to go, and from which backup. False where no way leads there although one
    // should: what the repository should have, it has not.
    bool choose() {
        wish_.backup_id = evidence_.backup_id;
        wish_.target.kind = TargetKind::immediate;
        if (!request_.is_drill)
            return true;
        nlohmann::json& told = evidence_.verified["target"];
        told = nlohmann::json::object();
        try {
            ChosenTarget chosen = choose_target(
                repository_, wal_, request_.cluster,
                request_.target.kind == DrillTarget::Kind::consistency ? evidence_.backup_id
                                                                       : request_.backup_id,
                request_.target, told);
            wish_ = chosen.wish;
            marker_ = chosen.source.backup;
            evidence_.backup_id = marker_.backup_id;
            if (request_.target.kind != DrillTarget::Kind::consistency)
                std::ranges::copy(chosen.source.warnings, std::back_inserter(evidence_.notes));
        } catch (const UnreachableWish&) {
            throw;  // who asked was wrong, and no backup was looked at
        } catch (const Error& error) {
            // A damaged backup is taken apart all the same.
            if (request_.target.kind == DrillTarget::Kind::consistency && is_of_backup(error))
                return true;
            if (error.code != ErrorCode::target_unreachable && error.code != ErrorCode::corrupt)
                throw;
            evidence_.errors.add(finding_of("target", error));
            return false;
        }
        told["backup_id"] = evidence_.backup_id;
        return true;
    }

    // False where the marker itself is damaged.
    bool find_marker() {
        refuse_without_key(repository_.store(), request_.cluster, "testing a backup");
        std::string id = request_.backup_id;
        if (id.empty())
            id = newest_backup();
        evidence_.backup_id = id;
        try {
            auto found = find_backup(repository_, request_.cluster, id);
            if (!found) {
                throw Error(ErrorCode::not_found, "backup \"" + id + "\" does not exist", {},
                            "\"pg_ark list\" shows which there are.");
            }
            marker_ = std::move(*found);
            return true;
        } catch (const Error& error) {
            if (error.code != ErrorCode::corrupt)
                throw;
            Finding finding = finding_of("marker", error);
            finding.object = request_.cluster + "/" + place::marker(id);
            evidence_.errors.add(std::move(finding));
            return false;
        }
    }

    std::string newest_backup() {
        std::vector<std::string> bad;
        const auto backups = list_backups(repository_, request_.cluster, &bad);
        if (backups.empty()) {
            throw Error(ErrorCode::not_found,
                        "cluster \"" + request_.cluster + "\" has no backup in \"" +
                            repository_.url() + "\"",
                        bad.empty() ? "" : "There are backups whose marker cannot be read.",
                        "\"pg_ark list\" shows what there is.");
        }
        return backups.back().backup_id;
    }

    bool restore() {
        try {
            restored_ =
                restore_to_scratch(repository_, wal_, marker_, wish_, request_, *scratch_, watch_);
        } catch (const Error& error) {
            if (!is_of_backup(error))
                throw;
            evidence_.errors.add(finding_of("restore", error));
            return false;
        }
        evidence_.verified["files"] = {{"count", restored_.files}, {"bytes", restored_.bytes}};
        PG_ARK_FAULT_POINT("drill_restored");
        return true;
    }

    // A restore reads what it needs of a pack; here each is read whole. It comes after the restore,
    // whose time is to be that of a restore.
    bool verify_objects(int jobs) {
        const BackupChain chain = chain_or_alone();
        uint64_t total = 0;
        for (const BackupMarker& backup : chain.backups) {
            for (const PackInfo& pack : backup.packs)
                total += pack.stored_bytes;
        }
        uint64_t bytes = 0;
        size_t whole = 0;
        bool good = true;
        for (const BackupMarker& backup : chain.backups) {
            VerifyContext context{repository_, backup, jobs, [&] {
                                      watch_.at("", bytes + context.bytes, total);
                                      watch_.tick();
                                  }};
            const BadPacks bad = check_packs(context);
            std::set<std::string> places;
            for (const auto& [number, finding] : bad) {
                evidence_.errors.add(finding);
                places.insert(place::pack(backup.backup_id, number));
            }
            distrust_objects(repository_, request_.cluster, places);
            bytes += context.bytes;
            whole += backup.packs.size() - bad.size();
            good = good && bad.empty();
        }
        evidence_.verified["objects"] = {{"packs", whole}, {"bytes", bytes}};
        return good;
    }

    // What the restore read. That a chain is broken it has said.
    BackupChain chain_or_alone() {
        try {
            return load_chain(repository_, request_.cluster, marker_);
        } catch (const Error& error) {
            if (!is_of_backup(error))
                throw;
            return {{marker_}};
        }
    }

    std::vector<std::string> verify_command() const {
        return {programs_.verifybackup(), "-n", scratch_->path("data")};
    }

    bool verify_files(RunningProgram& program) {
        const ProgramOutput output = program.wait(watch_);
        const uint64_t before = evidence_.errors.count;
        add_verifybackup_findings(output.text, evidence_.errors);
        if (output.status != 0 && evidence_.errors.count == before) {
            Finding finding;
            finding.check = "files";
            finding.message = "pg_verifybackup failed";
            finding.detail = output.text.substr(0, 1000);
            evidence_.errors.add(std::move(finding));
        }
        return true;
    }

    bool recover() {
        try {
            control_ = read_control_file(scratch_->path("data"));
            check_control(control_, marker_);
        } catch (const Error& error) {
            if (error.code != ErrorCode::corrupt && error.code != ErrorCode::not_found)
                throw;
            Finding finding = finding_of("recovery", error);
            finding.path = "global/pg_control";
            evidence_.errors.add(std::move(finding));
            return false;
        }
        server_ = std::make_unique<ScratchServer>(request_.program, programs_, server_plan(),
                                                  *scratch_, watch_);
        server_->configure();
        server_->start();
        const auto end = server_->wait_until_ready();
        if (!end) {
            PG_ARK_FAULT_POINT("drill_recovered");
            note_what_was_reached();
            server_->stop();
            return true;
        }
        throw_unless_of_backup(*end);
        // It may have ended since the repository did not answer: then this does not either.
        wal_is_there(wal_, marker_, restored_.source.way);
        add_server_end(*end, "the scratch server did not reach consistency");
        return false;
    }

    // The server's own words for it, before it writes anything more.
    void note_what_was_reached() {
        if (restored_.source.target.kind != TargetKind::immediate)
            restored_.tablespaces_contained = count_tablespaces_in_place(scratch_->path("data"));
        if (!request_.is_drill)
            return;
        const auto reached =
            reached_point(scratch_->path("data"), server_->log(), restored_.source.way);
        if (!reached) {
            add_unreached("recovery has left no timeline of its own");
            return;
        }
        reached_lsn_ = reached->lsn;
        nlohmann::json& told = evidence_.verified["target"];
        told["reached_lsn"] = to_text(reached->lsn);
        told["timeline"] = reached->timeline;
        told["stopped"] = json_of_text(reached->reason);
        told["reached_time"] = nullptr;
        if (reached->last_transaction)
            told["reached_time"] = *reached->last_transaction;
        if (const auto why = why_not_reached(restored_.source, *reached))
            add_unreached(*why);
    }

    void add_unreached(const std::string& why) {
        Finding finding;
        finding.check = "target";
        finding.message = "the scratch server did not come to " + describe(wish_.target);
        finding.detail = why + ".";
        evidence_.errors.add(std::move(finding));
    }

    ScratchServerPlan server_plan() const {
        ScratchServerPlan plan;
        plan.data_directory = scratch_->path("data");
        plan.config_directory = scratch_->path("conf");
        plan.socket_directory = scratch_->socket_directory();
        plan.major = major();
        plan.control = control_;
        plan.jobs = request_.jobs;
        plan.memory_mb = request_.memory_mb;
        plan.libraries = request_.libraries;
        plan.recovery.program = request_.program;
        plan.recovery.repository_url = repository_.url();
        plan.recovery.as_of = repository_.store().as_of();
        plan.recovery.cluster = request_.cluster;
        plan.recovery.key = request_.key;
        plan.recovery.require_encryption = request_.require_encryption;
        plan.recovery.timeline = restored_.source.way.timeline();
        plan.recovery.target = restored_.source.target;
        plan.recovery.action = TargetAction::promote;
        return plan;
    }

    void add_server_end(const ServerEnd& end, const std::string& otherwise) {
        Finding finding;
        finding.check = "recovery";
        const auto words = last_words_of(end.log);
        finding.message = words ? words->message : otherwise;
        if (words) {
            finding.detail = words->detail;
            finding.hint = words->hint;
            finding.block = block_in(words->message);
            finding.path = path_in(words->message).value_or("");
        }
        evidence_.errors.add(std::move(finding));
    }

    // Without a server the pages that the backup itself knows of have no names, but places.
    void add_known_corrupt_pages() {
        for (const CorruptPage& page : marker_.corrupt_pages) {
            Finding finding;
            finding.check = "page";
            finding.path = page.path;
            finding.block = page.block;
            finding.message = page.reason;
            finding.detail = "It was so when the backup was taken.";
            evidence_.errors.add(std::move(finding));
        }
    }

    bool pages() {
        const std::string data = scratch_->path("data");
        const std::vector<RelationFile> files = list_relation_files(data, watch_);
        for (const RelationFile& file : files) {
            if (file.place.file.fork == Fork::init)
                init_forks_.insert(file.path.substr(0, file.path.rfind("_init")));
            if (file.place.file.fork != Fork::main)
                continue;
            std::string first = file.path;
            if (file.place.file.segment > 0)
                first.resize(first.rfind('.'));
            file_bytes_[first] += file.bytes;
        }
        damage_ = find_holes(files, control_.relation_segment_blocks);
        if (!wants(DrillStep::pages))
            return true;
        const bool checksums = control_.data_checksum_version != 0;
        if (!checksums) {
            evidence_.notes.emplace_back(
                "the cluster has no data checksums: what only they would show was not seen");
        }
        // Of before recovery are other transactions.
        const ControlFile stopped = read_control_file(data);
        const CommitLog log(data, stopped.oldest_xid, stopped.next_xid);
        PageCheck result = check_pages(
            {data, control_.relation_segment_blocks, checksums, request_.jobs}, log, files, watch_);
        if (checksums)
            evidence_.verified["pages"] = {{"checked", result.checked},
                                           {"corrupt", result.corrupt}};
        std::ranges::move(result.damage, std::back_inserter(damage_));
        std::ranges::move(result.conflicts, std::back_inserter(damage_));
        rows_ = std::move(result.rows);
        if (result.corrupt > result.damage.size()) {
            evidence_.notes.push_back(std::to_string(result.corrupt) +
                                      " pages are corrupt, of which 1000 are named");
        }
        return true;
    }

    // What the users ask comes first, and of that what they hold for critical.
    bool check() {
        if (!timed(DrillPhase::checking, "check", [&] { return bring_up(); }))
            return false;
        TaskPool pool(*server_, owner_, prepared_.reader.empty() ? owner_ : reader_, watch_);
        std::vector<DatabaseInfo> databases;
        const auto list = [&] { return list_databases(pool, databases); };
        if (!timed(DrillPhase::checking, "check", list))
            return false;
        if (request_.is_drill)
            cut_off_foreign_servers(pool, databases);
        if (!ask_again(pool, databases))
            return false;
        if (!take_away_files(pool, databases))
            prepared_.reader.clear();
        return check_copy(databases);
    }

    bool check_copy(const std::vector<DatabaseInfo>& databases) {
        TaskPool pool(*server_, owner_, prepared_.reader.empty() ? owner_ : reader_, watch_);
        if (!ask_users_checks(pool))
            return false;
        const auto ask = [&] { return question(pool, databases); };
        const bool whole = timed(DrillPhase::checking, "check", ask);
        for (const auto& [step, seconds] : pool.seconds_of_steps()) {
            seconds_[step] = seconds;
            seconds_["check"] = seconds_["check"].get<double>() - seconds;
        }
        return whole;
    }

    bool bring_up() {
        isolation_ = nlohmann::json::object();
        isolation_["prepared_transactions"] = discard_prepared(scratch_->path("data"));
        ServerPreparation preparation(*server_, marker_.superuser);
        prepared_ = preparation.run();
        if (prepared_.reader.empty())
            add_unprepared(prepared_.trouble);
        server_->start();
        if (const auto end = server_->wait_until_ready()) {
            throw_unless_of_backup(*end);
            add_server_end(*end, "the scratch server did not start again");
            name_all_damage();
            return false;
        }
        PG_ARK_FAULT_POINT("drill_checking");
        owner_ = {scratch_->socket_directory(), prepared_.superuser, true, major()};
        reader_ = {scratch_->socket_directory(), prepared_.reader, false, major()};
        return true;
    }

    void add_unprepared(const std::string& trouble) {
        Finding finding;
        finding.check = "catalog";
        finding.message = trouble.empty() ? "roles cannot be made or changed" : trouble;
        finding.detail =
            "The copy could not be prepared in single-user mode: no index that computes "
            "expressions, and no table that has one, was checked.";
        finding.block = block_in(trouble);
        finding.path = path_in(trouble).value_or("");
        evidence_.errors.add(std::move(finding));
    }

    bool list_databases(TaskPool& pool, std::vector<DatabaseInfo>& databases) {
        SqlResult listed = pool.ask(prepared_.database, databases_query());
        if (listed.failed) {
            Finding finding;
            finding.check = "connect";
            finding.database = prepared_.database;
            finding.message = listed.message;
            finding.detail = listed.detail;
            evidence_.errors.add(std::move(finding));
            if (listed.lost)
                pool.revive();
            name_all_damage();
            return false;
        }
        databases = databases_of(listed);
        std::ranges::stable_sort(databases, {}, [this](const DatabaseInfo& database) {
            return tiers_.first_in(database.name);
        });
        return true;
    }

    // Nothing of the user's leads out of the copy: who has no mapping reaches no foreign server.
    void cut_off_foreign_servers(TaskPool& pool, const std::vector<DatabaseInfo>& databases) {
        for (const DatabaseInfo& database : databases) {
            if (!database.half_dropped)
                pool.ask(database.name,
                         "UPDATE pg_catalog.pg_event_trigger SET evtenabled = 'D'; "
                         "DELETE FROM pg_catalog.pg_user_mapping");
        }
    }

    // The superusers of the source are none in the copy, but what reads and writes files is still
    // theirs: their functions (SECURITY DEFINER) and expressions of their indexes may have it. Not
    // before the catalogs were compared: this changes them. 12 and 13 are the languages internal
    // and C. Where it cannot be done nobody's code is to run.
    bool take_away_files(TaskPool& pool, const std::string& database) {
        if (taken_away_.contains(database))
            return true;
        const SqlResult result = pool.ask(
            database,
            "UPDATE pg_catalog.pg_proc AS p SET proowner = r.oid, proacl = "
            "ARRAY[pg_catalog.makeaclitem(r.oid, r.oid, 'EXECUTE', false)] FROM "
            "pg_catalog.pg_authid AS r WHERE r.rolname = current_user AND p.proacl IS NOT NULL AND "
            "p.prolang IN (12, 13) AND NOT EXISTS (SELECT FROM pg_catalog.aclexplode(p.proacl) AS "
            "a WHERE a.grantee = 0)");
        if (!result.failed) {
            taken_away_.insert(database);
            return true;
        }
        Finding finding;
        finding.check = "catalog";
        finding.database = database;
        finding.relation = "pg_catalog.pg_proc";
        finding.message = result.message;
        finding.detail = "No code of the copy was run.";
        finding.block = block_in(result.message);
        finding.path = path_in(result.message).value_or("");
        evidence_.errors.add(std::move(finding));
        return false;
    }

    bool take_away_files(TaskPool& pool, const std::vector<DatabaseInfo>& databases) {
        return std::ranges::all_of(databases, [&](const DatabaseInfo& database) {
            return database.half_dropped || take_away_files(pool, database.name);
        });
    }

    bool ask_users_checks(TaskPool& pool) {
        if (request_.checks.empty())
            return true;
        evidence_.verified["checks"] = nlohmann::json::array();
        for (const auto& [step, kind, name] :
             {std::tuple{DrillStep::critical_functions, UserCheck::Kind::critical,
                         "critical_functions"},
              std::tuple{DrillStep::checks, UserCheck::Kind::integrity, "checks"}}) {
            std::vector<UserCheck> checks;
            std::ranges::copy_if(request_.checks, std::back_inserter(checks),
                                 [&, kind = kind](const UserCheck& check) {
                                     return check.kind == kind && !is_done_by_a_step(check);
                                 });
            if (checks.empty() || !wants(step))
                continue;
            if (!timed(DrillPhase::asking, name, [&] { return ask_users_checks(pool, checks); })) {
                add_lost_server();
                return false;
            }
        }
        return true;
    }

    // Nothing is looked through twice.
    bool is_done_by_a_step(const UserCheck& check) const {
        const auto step = step_instead_of(check.ready_made);
        return step && wants(*step);
    }

    // Before the checks make objects of their own, and move others'.
    bool ask_again(TaskPool& pool, const std::vector<DatabaseInfo>& databases) {
        if (!request_.is_drill || !wants(DrillStep::census) || !reached_lsn_ ||
            prepared_.reader.empty())
            return true;
        AnswerCheckContext context{
            repository_,
            marker_,
            restored_.source.way,
            *reached_lsn_,
            reader_,
            &evidence_.errors,
            &evidence_.notes,
            &evidence_.verified["census"],
            [&](const std::string& database) { return take_away_files(pool, database); }};
        if (timed(DrillPhase::checking, "census",
                  [&] { return check_answers(context, pool, databases, watch_); }))
            return true;
        add_lost_server();
        return false;
    }

    bool ask_users_checks(TaskPool& pool, const std::vector<UserCheck>& checks) {
        UserCheckContext context{reader_, request_.jobs, &evidence_.errors, &evidence_.notes,
                                 &evidence_.verified["checks"]};
        if (!prepared_.reader.empty())
            return run_user_checks(context, pool, watch_, checks);
        skip_user_checks(context, checks, "the copy has no role that may only read");
        return true;
    }

    bool question(TaskPool& pool, const std::vector<DatabaseInfo>& databases) {
        DatabaseQuestions questions;
        questions.relations = check_context();
        questions.rules = constraint_context();
        questions.jobs = request_.jobs;
        for (const DrillStep step : {DrillStep::foreign_keys, DrillStep::constraints,
                                     DrillStep::unique_keys, DrillStep::sequences}) {
            if (wants(step) && !prepared_.reader.empty())
                questions.rule_steps.push_back(step);
        }
        std::vector<std::string> names;
        const bool whole = question_databases(questions, pool, databases, names);
        if (!whole)
            add_lost_server();
        note_what_was_checked(questions.relations.counts, names);
        note_what_was_checked(questions.rules);
        if (questions.relations.missing) {
            const Error& missing = *questions.relations.missing;
            if (evidence_.errors.count == 0)
                throw Error(missing);
            evidence_.notes.push_back(missing.message + ": " + missing.detail);
        }
        return whole;
    }

    void add_lost_server() {
        Finding finding;
        finding.check = "connect";
        finding.message = "the scratch server could not be brought back";
        finding.detail = "What comes after this was not checked.";
        evidence_.errors.add(std::move(finding));
    }

    // A name that nobody can have taken before.
    static std::string own_schema() {
        std::string name = "ark_drill_" + make_uuid();
        std::ranges::replace(name, '-', '_');
        return name;
    }

    CheckContext check_context() {
        CheckContext context;
        context.major = major();
        context.reader = prepared_.reader;
        context.steps = request_.steps;
        context.schema = own_schema();
        context.version_directory = tablespace_version_directory(marker_);
        context.file_bytes = &file_bytes_;
        context.init_forks = &init_forks_;
        context.damage = &damage_;
        context.rows = &rows_;
        context.findings = &evidence_.errors;
        context.notes = &evidence_.notes;
        context.tiers = &tiers_;
        // What the census holds is of the end of the backup.
        if (restored_.source.target.kind == TargetKind::immediate)
            census_ = read_census(repository_, marker_, evidence_);
        context.census = census_ ? &*census_ : nullptr;
        return context;
    }

    ConstraintContext constraint_context() {
        ConstraintContext context;
        context.major = major();
        context.jobs = request_.jobs;
        context.memory_mb = request_.memory_mb;
        context.findings = &evidence_.errors;
        context.notes = &evidence_.notes;
        context.tiers = &tiers_;
        context.rows = &rows_;
        return context;
    }

    void note_what_was_checked(const ConstraintContext& rules) {
        if (!request_.is_drill)
            return;
        evidence_.verified["rules"] = {{"foreign_keys", rules.foreign_keys},
                                       {"constraints", rules.row_rules},
                                       {"unique_keys", rules.unique_keys},
                                       {"sequences", rules.sequences}};
    }

    void name_all_damage() {
        for (const FileDamage& damage : damage_)
            evidence_.errors.add(finding_of(damage));
    }

    void note_what_was_checked(const CheckCounts& c, const std::vector<std::string>& databases) {
        nlohmann::json& v = evidence_.verified;
        v["databases"] = nlohmann::json::array();
        for (const std::string& database : databases)
            v["databases"].push_back(json_of_text(database));
        v["catalog"] = {{"references", c.references}, {"relations", c.relations}};
        v["heap"] = {{"relations", c.heaps}, {"bytes", c.heap_bytes}};
        v["btree"] = {{"indexes", c.btrees}, {"bytes", c.btree_bytes}};
        v["gin"] = {{"indexes", c.gins}};
        v["other_indexes"] = {{"by_pages_alone", c.unchecked_indexes},
                              {"invalid", c.invalid_indexes}};
        v["rows"] = {{"tables", c.tables},
                     {"rows", c.rows},
                     {"counted_by_index", c.index_counts},
                     {"compared", c.compared}};
        isolation_["tablespaces_moved"] = marker_.tablespaces.size();
        isolation_["tablespaces_contained"] = restored_.tablespaces_contained;
        isolation_["event_triggers_disabled"] = c.event_triggers;
        isolation_["libraries"] = request_.libraries;
        isolation_["program_version"] = programs_.version;
        v["isolation"] = isolation_;
    }

    void clean() {
        watch_.enter(DrillPhase::cleaning);
        if (server_)
            server_->kill();
        if (!scratch_)
            return;
        if (request_.keep && evidence_.errors.count > 0) {
            scratch_->keep();
            evidence_.notes.push_back("the restored cluster was left in \"" + scratch_->path() +
                                      "\"; its superuser is \"" + prepared_.superuser +
                                      "\"; remove it by hand");
            return;
        }
        PG_ARK_FAULT_POINT("drill_cleaning");
        try {
            scratch_->remove();
        } catch (const Error& error) {
            evidence_.notes.push_back("\"" + scratch_->path() +
                                      "\" could not be removed: " + error.message);
        }
    }

    Repository& repository_;
    ArchivedWal& wal_;
    const DrillRequest& request_;
    Watch watch_;
    TierOrder tiers_;
    Evidence evidence_;
    nlohmann::json seconds_;
    nlohmann::json isolation_;
    BackupMarker marker_;
    std::set<std::string> taken_away_;  ///< databases, see take_away_files
    RestoreWish wish_;                  ///< what to restore, and where recovery is to go
    std::unique_ptr<ScratchDirectory> scratch_;
    ServerPrograms programs_;
    RestoredFiles restored_;
    ControlFile control_;
    std::unique_ptr<ScratchServer> server_;  // goes before the directory that it works in
    PreparedServer prepared_;
    SessionTarget owner_;
    SessionTarget reader_;
    std::unordered_map<std::string, uint64_t> file_bytes_;  ///< of main forks, by their first path
    std::set<std::string> init_forks_;
    std::vector<FileDamage> damage_;
    std::map<RelationId, RowsSeen> rows_;  ///< of users' tables, by their pages
    std::optional<Expected> census_;
    std::optional<Lsn> reached_lsn_;
    bool recovered_ = false;
    bool finished_ = false;
};

}  // namespace

Evidence run_drill(Repository& repository, ArchivedWal& wal, const DrillRequest& request,
                   DrillListener& listener) {
    return Drill(repository, wal, request, listener).run();
}

}  // namespace ark
