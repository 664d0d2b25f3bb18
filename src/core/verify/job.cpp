#include "core/verify/job.hpp"

#include <array>
#include <optional>
#include <set>

#include "core/base/clock.hpp"
#include "core/pipeline/tar_reader.hpp"
#include "core/repo/answers.hpp"
#include "core/repo/census.hpp"
#include "core/repo/vault_store.hpp"
#include "core/verify/chain.hpp"
#include "core/verify/freshness.hpp"
#include "core/verify/manifest.hpp"
#include "core/verify/packs.hpp"
#include "core/verify/wal.hpp"

namespace ark {

namespace {

constexpr uint64_t kConfigArchiveLimit = 256 << 20;
constexpr int64_t kSecond = 1000000000;
constexpr int64_t kTickInterval = kSecond / 5;

class Verification {
 public:
    Verification(Repository& repository, const VerifyRequest& request, VerifyListener& listener)
        : repository_(repository), request_(request), listener_(listener) {
        evidence_.test_id = request.test_id.empty() ? make_uuid() : request.test_id;
        evidence_.kind = "verification";
        evidence_.backup_id = request.backup_id;
        evidence_.cluster = request.cluster;
        evidence_.host = make_writer({}).host;
        evidence_.program_version = PG_ARK_VERSION;
        evidence_.started_at = now_micros();
    }

    Evidence run() {
        const int64_t begin = monotonic_nanos();
        enter(VerifyPhase::marker);
        if (read_marker())
            check();
        remember();
        evidence_.errors = context_.damage.take();
        evidence_.success = evidence_.errors.count == 0;
        seconds_["total"] = seconds_since(begin);
        evidence_.verified["seconds"] = seconds_;
        evidence_.completed_at = now_micros();
        total_ = context_.bytes;
        enter(VerifyPhase::done);
        return std::move(evidence_);
    }

 private:
    static double seconds_since(int64_t begin) {
        return static_cast<double>(monotonic_nanos() - begin) / kSecond;
    }

    void enter(VerifyPhase phase) {
        phase_ = phase;
        report();
    }
    void report() {
        listener_.progress({phase_, context_.bytes, total_});
        next_tick_ = monotonic_nanos() + kTickInterval;
    }
    void tick() {
        if (monotonic_nanos() >= next_tick_)
            report();
    }

    template <typename Function>
    void timed(VerifyPhase phase, const char* name, const Function& step) {
        enter(phase);
        const int64_t begin = monotonic_nanos();
        step();
        seconds_[name] = seconds_since(begin);
    }

    // False where it is damaged.
    bool read_marker() {
        refuse_without_key(repository_.store(), request_.cluster, "verifying a backup");
        const std::string name = request_.cluster + "/" + place::marker(request_.backup_id);
        try {
            auto found = find_chain_link(repository_, request_.cluster, request_.backup_id);
            if (!found)
                throw unknown_backup();
            marker_ = std::move(*found);
            return true;
        } catch (const Error& error) {
            if (error.code != ErrorCode::corrupt)
                throw;
            Finding finding = finding_of("marker", error);
            finding.object = name;
            context_.damage.add(std::move(finding));
            evidence_.notes.emplace_back(
                "nothing but the marker was checked: it says what the backup consists of");
            return false;
        }
    }

    Error unknown_backup() const {
        bool anything = false;
        if (is_valid_name_part(request_.backup_id)) {
            repository_.store().list(
                request_.cluster + "/" + place::backup(request_.backup_id),
                [&](const ObjectInfo& /*object*/) { return !(anything = true); });
        }
        return {ErrorCode::not_found, "backup \"" + request_.backup_id + "\" does not exist",
                anything ? "There are objects of it, but no marker: it was never completed, or is "
                           "being taken or removed now."
                         : "",
                "\"pg_ark list\" shows which there are."};
    }

    uint64_t plain_objects() const {
        const auto vault = vault_of(repository_.store(), request_.cluster);
        return vault ? vault->plain_objects() : 0;
    }

    // What earlier verifications have read, and what there is now.
    void look_around() {
        const bool is_past = repository_.store().as_of().has_value();
        freshness_.emplace(repository_, request_.cluster, is_past ? 0 : request_.freshness_seconds);
        freshness_->see_all(place::backup(marker_.backup_id));
        context_.freshness = &*freshness_;
        context_.identity = identity_of(marker_);
    }

    bool is_fresh(const std::string& place) const { return context_.is_fresh(place); }

    // What is fresh is taken down as passed over; true for what is to be read.
    bool wants(const std::string& place) const {
        const bool fresh = is_fresh(place);
        if (fresh) {
            context_.skip(place);
        } else {
            context_.read(place);
        }
        return !fresh;
    }

    void remember() {
        evidence_.verified["backup_is_whole"] = context_.damage.count_but(kWalAfterBackup) == 0;
        if (!freshness_)
            return;
        evidence_.verified["freshness_seconds"] = request_.freshness_seconds;
        evidence_.verified.update(freshness_->told());
        std::set<std::string> damaged;
        for (const std::string& name : context_.damage.objects())
            damaged.insert(name.substr(request_.cluster.size() + 1));
        if (context_.damage.count("chain") > 0)
            damaged.insert(place::index(marker_.backup_id));
        const std::string why_not = freshness_->save(evidence_.started_at, damaged);
        if (!why_not.empty())
            evidence_.notes.push_back(why_not);
    }

    void check() {
        const uint64_t plain_before = plain_objects();
        look_around();
        const std::set<uint32_t> fresh = fresh_packs(context_);
        uint64_t stored = 0;
        for (uint32_t number = 0; number < marker_.packs.size(); ++number)
            stored += fresh.contains(number) ? 0 : marker_.packs[number].stored_bytes;
        Patience patience(std::chrono::milliseconds(request_.patience_millis), [this] { tick(); });
        WalCheck wal(context_, patience);
        total_ = 2 * stored + wal.survey();
        FilesRead read;
        BadPacks bad;
        timed(VerifyPhase::packs, "packs", [&] { bad = check_packs(context_, fresh); });
        evidence_.verified["packs"] = marker_.packs.size() - bad.size();
        timed(VerifyPhase::files, "files", [&] { read = check_files_of(bad, fresh); });
        const bool index_is_whole = context_.damage.count("index") == 0;
        if (!index_is_whole) {
            evidence_.notes.emplace_back(
                "files that the index names behind its damage were not checked one by one, and the "
                "manifest not against the index");
        }
        timed(VerifyPhase::manifest, "manifest", [&] {
            check_chain_below(index_is_whole);
            check_manifest_and_index(index_is_whole);
            check_config();
            check_census();
            check_answers();
        });
        timed(VerifyPhase::wal, "wal", [&] { wal.run(); });
        note_what_was_read(read);
        if (plain_objects() > plain_before) {
            evidence_.notes.emplace_back(
                "not all that was read is encrypted: anybody who can write to the repository could "
                "have put that there");
        }
        evidence_.verified["wal"] = wal.verified();
    }

    // Which files are in the packs the index says: where all of them are fresh it says nothing new.
    FilesRead check_files_of(const BadPacks& bad, const std::set<uint32_t>& fresh) {
        const std::string index = place::index(marker_.backup_id);
        if (fresh.size() == marker_.packs.size() && !wants(index))
            return {};
        context_.read(index);
        return check_files(context_, bad, fresh);
    }

    void check_manifest_and_index(bool index_is_whole) {
        const std::string manifest = place::manifest(marker_.backup_id);
        const std::string index = place::index(marker_.backup_id);
        if (is_fresh(manifest) && is_fresh(index)) {
            context_.skip(manifest);
            return;
        }
        context_.read(manifest);
        context_.read(index);
        check_manifest(context_, index_is_whole);
    }

    void note_what_was_read(const FilesRead& read) {
        evidence_.verified["files"] = read.files;
        evidence_.verified["file_bytes"] = read.bytes;
        evidence_.verified["bytes"] = marker_.stored_bytes;
        evidence_.verified["objects"] = marker_.packs.size() + 3 + (has_config() ? 1 : 0) +
                                        (marker_.census_sha256.empty() ? 0 : 1) +
                                        (marker_.answers_sha256.empty() ? 0 : 1);
    }

    void check_chain_below(bool index_is_whole) {
        const std::vector<std::string> ids = check_chain(context_, index_is_whole);
        if (marker_.parent.empty())
            return;
        evidence_.verified["chain"] = ids;
        evidence_.notes.emplace_back(
            "the backup needs those that it builds on, of which markers and indexes were looked "
            "at: what their packs hold is checked by verifying each of them");
    }

    bool has_config() const { return marker_.has_config_archive; }

    // Runs a look at one object; what it throws about it is a finding.
    template <typename Function>
    void look_at(const char* check, const std::string& place, const Function& look) {
        try {
            look(context_.name_of(place));
        } catch (const Error& error) {
            if (!is_damage(error))
                throw;
            Finding finding = finding_of(check, error);
            finding.object = context_.name_of(place);
            context_.damage.add(std::move(finding));
        }
    }

    void check_config() {
        const std::string place = place::config(marker_.backup_id);
        if (!has_config() || !wants(place))
            return;
        look_at("config", place, [&](const std::string& name) {
            const auto stored = repository_.store().get(name, kConfigArchiveLimit);
            if (!stored)
                throw Error(ErrorCode::not_found, "object \"" + name + "\" does not exist");
            read_tar(open_object(*stored, ObjectKind::config, place, kConfigArchiveLimit,
                                 vault_of(repository_.store(), request_.cluster).get()),
                     name);
        });
    }

    void check_answers() {
        if (marker_.answers_sha256.empty())
            return;
        look_at("answers", place::answers(marker_.backup_id), [&](const std::string& /*name*/) {
            AnswersReader answers(repository_, marker_.cluster, marker_.backup_id,
                                  marker_.answers_sha256);
            while (answers.next())
                tick();
        });
    }

    void check_census() {
        if (marker_.census_sha256.empty() || !wants(place::census(marker_.backup_id)))
            return;
        look_at("census", place::census(marker_.backup_id), [&](const std::string& /*name*/) {
            CensusReader census(repository_, marker_.cluster, marker_.backup_id,
                                marker_.census_sha256);
            while (census.next())
                tick();
        });
    }

    Repository& repository_;
    const VerifyRequest& request_;
    VerifyListener& listener_;
    BackupMarker marker_;
    VerifyContext context_{repository_, marker_, request_.jobs, [this] { tick(); }};
    std::optional<Freshness> freshness_;
    Evidence evidence_;
    VerifyPhase phase_ = VerifyPhase::marker;
    uint64_t total_ = 0;
    int64_t next_tick_ = 0;
    nlohmann::json seconds_ = nlohmann::json::object();
};

}  // namespace

const char* name_of(VerifyPhase phase) noexcept {
    constexpr std::array kNames{"marker", "packs", "files", "manifest", "wal", "done"};
    return kNames[static_cast<size_t>(phase)];
}

Evidence verify_backup(Repository& repository, const VerifyRequest& request,
                       VerifyListener& listener) {
    return Verification(repository, request, listener).run();
}

}  // namespace ark
