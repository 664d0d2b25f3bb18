#include "core/drill/job.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <memory>
#include <set>
#include <unordered_map>

#include "core/base/clock.hpp"
#include "core/base/fault.hpp"
#include "core/base/memory.hpp"
#include "core/drill/database_check.hpp"
#include "core/drill/page_check.hpp"
#include "core/drill/programs.hpp"
#include "core/drill/restored_files.hpp"
#include "core/drill/scratch_directory.hpp"
#include "core/drill/scratch_server.hpp"
#include "core/drill/server_log.hpp"
#include "core/drill/server_preparation.hpp"
#include "core/drill/watch.hpp"
#include "core/pgdata/server_version.hpp"
#include "core/repo/chain.hpp"
#include "core/repo/json_text.hpp"
#include "core/repo/object.hpp"
#include "core/repo/vault_store.hpp"
#include "core/restore/destination.hpp"
#include "core/restore/tree.hpp"
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
        evidence_.kind = "restore_test";
        evidence_.backup_id = request.backup_id;
        evidence_.cluster = request.cluster;
        evidence_.host = make_writer({}).host;
        evidence_.program_version = PG_ARK_VERSION;
        evidence_.started_at = now_micros();
    }

    Evidence run() {
        const int64_t begin = monotonic_nanos();
        seconds_ = nlohmann::json::object();
        evidence_.verified["pages"] = nullptr;
        steps();
        clean();
        seconds_["total"] = seconds_since(begin);
        evidence_.verified["seconds"] = seconds_;
        if (recovered_)
            evidence_.verified["rto_seconds"] =
                seconds_["fetch"].get<double>() + seconds_["recover"].get<double>();
        evidence_.success = finished_ && evidence_.errors.count == 0;
        evidence_.completed_at = now_micros();
        watch_.enter(DrillPhase::done);
        return std::move(evidence_);
    }

 private:
    static double seconds_since(int64_t begin) {
        return static_cast<double>(monotonic_nanos() - begin) / kNanosPerSecond;
    }

    template <typename Function>
    bool timed(DrillPhase phase, const char* name, const Function& step) {
        watch_.enter(phase);
        const int64_t begin = monotonic_nanos();
        const bool good = step();
        seconds_[name] = seconds_since(begin);
        give_back_freed_memory();  // the scratch server can use it
        return good;
    }

    // Each goes on where the one before it has left something to look at.
    void steps() {
        if (!timed(DrillPhase::preparing, "prepare", [&] { return prepare(); }))
            return;
        const bool restored = timed(DrillPhase::restoring, "fetch", [&] { return restore(); });
        timed(DrillPhase::verifying_objects, "verify_objects", [&] { return verify_objects(); });
        if (!restored)
            return;
        timed(DrillPhase::verifying_files, "verify_files", [&] { return verify_files(); });
        if (!timed(DrillPhase::recovering, "recover", [&] { return recover(); })) {
            add_known_corrupt_pages();
            return;
        }
        recovered_ = true;
        timed(DrillPhase::checking_pages, "pages", [&] { return pages(); });
        finished_ = timed(DrillPhase::checking, "check", [&] { return check(); });
    }

    bool prepare() {
        if (!find_marker())
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
            restored_ = restore_to_scratch(repository_, wal_, marker_, request_, *scratch_, watch_);
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
    bool verify_objects() {
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
            VerifyContext context{repository_, backup, request_.jobs, [&] {
                                      watch_.at("", bytes + context.bytes, total);
                                      watch_.tick();
                                  }};
            const BadPacks bad = check_packs(context);
            for (const auto& [number, finding] : bad)
                evidence_.errors.add(finding);
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

    bool verify_files() {
        const ProgramOutput output =
            run_program(request_.program, {programs_.verifybackup(), "-n", scratch_->path("data")},
                        *scratch_, watch_);
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
            server_->stop();
            return true;
        }
        throw_unless_of_backup(*end);
        // It may have ended since the repository did not answer: then this does not either.
        wal_is_there(wal_, marker_, restored_.way);
        add_server_end(*end, "the scratch server did not reach consistency");
        return false;
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
        plan.recovery.timeline = restored_.way.timeline();
        plan.recovery.target.kind = TargetKind::immediate;
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
        if (control_.data_checksum_version == 0) {
            evidence_.notes.emplace_back(
                "the cluster has no data checksums: what only they would show was not seen");
            return true;
        }
        PageCheck result =
            check_pages(data, files, control_.relation_segment_blocks, request_.jobs, watch_);
        evidence_.verified["pages"] = {{"checked", result.checked}, {"corrupt", result.corrupt}};
        std::ranges::move(result.damage, std::back_inserter(damage_));
        if (result.corrupt > result.damage.size()) {
            evidence_.notes.push_back(std::to_string(result.corrupt) +
                                      " pages are corrupt, of which 1000 are named");
        }
        return true;
    }

    bool check() {
        isolation_ = nlohmann::json::object();
        isolation_["prepared_transactions"] = discard_prepared(scratch_->path("data"));
        ServerPreparation preparation(*server_, marker_.superuser);
        const PreparedServer prepared = preparation.run();
        if (prepared.reader.empty())
            add_unprepared(prepared.trouble);
        server_->start();
        if (const auto end = server_->wait_until_ready()) {
            throw_unless_of_backup(*end);
            add_server_end(*end, "the scratch server did not start again");
            name_all_damage();
            return false;
        }
        PG_ARK_FAULT_POINT("drill_checking");
        const SessionTarget owner{scratch_->socket_directory(), prepared.superuser, true, major()};
        const SessionTarget reader{scratch_->socket_directory(), prepared.reader, false, major()};
        TaskPool pool(*server_, owner, prepared.reader.empty() ? owner : reader, watch_);
        const bool whole = check_databases(pool, prepared);
        server_->kill();
        return whole;
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

    bool check_databases(TaskPool& pool, const PreparedServer& prepared) {
        SqlResult listed = pool.ask(prepared.database, databases_query());
        if (listed.failed) {
            Finding finding;
            finding.check = "connect";
            finding.database = prepared.database;
            finding.message = listed.message;
            finding.detail = listed.detail;
            evidence_.errors.add(std::move(finding));
            if (listed.lost)
                pool.revive();
            name_all_damage();
            return false;
        }
        const std::vector<DatabaseInfo> databases = databases_of(listed);
        CheckContext context = check_context();
        context.reader = prepared.reader;
        context.schema = own_schema();
        std::vector<std::string> names;
        bool whole = true;
        for (const DatabaseInfo& database : databases) {
            if (database.half_dropped) {
                evidence_.notes.push_back("database " + database.name +
                                          " is half dropped and takes no connections");
                continue;
            }
            whole = DatabaseCheck(context, pool, database, names.empty()).run();
            names.push_back(database.name);
            if (!whole)
                break;
        }
        if (!whole) {
            Finding finding;
            finding.check = "connect";
            finding.message = "the scratch server could not be brought back";
            finding.detail = "What comes after this was not checked.";
            evidence_.errors.add(std::move(finding));
        }
        note_what_was_checked(context.counts, names);
        if (context.missing) {
            if (evidence_.errors.count == 0)
                throw Error(*context.missing);
            evidence_.notes.push_back(context.missing->message + ": " + context.missing->detail);
        }
        return whole;
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
        context.version_directory = tablespace_version_directory(marker_);
        context.jobs = request_.jobs;
        context.file_bytes = &file_bytes_;
        context.init_forks = &init_forks_;
        context.damage = &damage_;
        context.findings = &evidence_.errors;
        context.notes = &evidence_.notes;
        census_ = read_census(repository_, marker_, evidence_);
        context.census = census_ ? &*census_ : nullptr;
        return context;
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
    Evidence evidence_;
    nlohmann::json seconds_;
    nlohmann::json isolation_;
    BackupMarker marker_;
    std::unique_ptr<ScratchDirectory> scratch_;
    ServerPrograms programs_;
    RestoredFiles restored_;
    ControlFile control_;
    std::unique_ptr<ScratchServer> server_;  // goes before the directory that it works in
    std::unordered_map<std::string, uint64_t> file_bytes_;  ///< of main forks, by their first path
    std::set<std::string> init_forks_;
    std::vector<FileDamage> damage_;
    std::optional<std::vector<ExpectedTable>> census_;
    bool recovered_ = false;
    bool finished_ = false;
};

}  // namespace

Evidence run_drill(Repository& repository, ArchivedWal& wal, const DrillRequest& request,
                   DrillListener& listener) {
    return Drill(repository, wal, request, listener).run();
}

}  // namespace ark
