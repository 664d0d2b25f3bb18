#include "core/restore/job.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <optional>

#include "core/base/error.hpp"
#include "core/base/fault.hpp"
#include "core/base/file.hpp"
#include "core/pgdata/server_version.hpp"
#include "core/restore/delta.hpp"
#include "core/restore/durability.hpp"
#include "core/restore/file_writer.hpp"
#include "core/restore/kept_wal.hpp"
#include "core/restore/manifest.hpp"
#include "core/restore/server_config.hpp"
#include "core/restore/server_module.hpp"
#include "core/restore/tree.hpp"
#include "core/restore/unfinished.hpp"

namespace ark {

namespace {

constexpr const char* kAutoConf = "postgresql.auto.conf";
constexpr size_t kConfigLimit = 16 << 20;

bool exists(const std::string& path) {
    struct stat st {};
    return ::lstat(path.c_str(), &st) == 0;
}

void remove_if_exists(const std::string& path) {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
        throw system_error(errno, "could not remove file \"" + path + "\"");
    }
}

void write_small_file(const std::string& path, std::string_view content) {
    File file = File::open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
    file.write_all(as_bytes(content));
    file.fsync();
}

class RestoreJob {
 public:
    RestoreJob(Repository& repository, const RestoreRequest& request, const RestorePlan& plan,
               RestoreListener& listener)
        : repository_(repository),
          request_(request),
          plan_(plan),
          listener_(listener),
          chain_(plan.source.chain),
          backup_(plan.source.chain.tip()),
          directory_(plan.destination.directory),
          layout_(directory_, plan.destination.tablespaces) {}

    RestoreResult run() {
        const int64_t begin = monotonic_nanos();
        enter(RestorePhase::clearing);
        prepare();
        PG_ARK_FAULT_POINT("restore_after_clearing");
        enter(RestorePhase::writing);
        write();
        enter(RestorePhase::syncing);
        durability_->finish();
        PG_ARK_FAULT_POINT("restore_after_sync");
        enter(RestorePhase::configuring);
        configure();
        finish();
        enter(RestorePhase::done);
        result_.files = counters_.files;
        result_.bytes = counters_.bytes;
        result_.fetched = counters_.fetched;
        result_.reused_files = counters_.reused_files;
        result_.reused_bytes = counters_.reused_bytes;
        result_.nanos = monotonic_nanos() - begin;
        return std::move(result_);
    }

 private:
    void enter(RestorePhase phase) {
        phase_ = phase;
        report();
    }
    void report() {
        listener_.progress({phase_, counters_.files, plan_.survey.files, counters_.bytes,
                            plan_.survey.bytes, counters_.fetched});
    }

    std::string path(const std::string& name) const { return directory_ + "/" + name; }

    void prepare() {
        make_directories(directory_, 0700);
        mark_.emplace(directory_, note());
        PG_ARK_FAULT_POINT("restore_after_mark");
        check_again();
        clear();
        if (::chmod(directory_.c_str(), 0700) != 0) {
            throw system_error(errno, "could not change permissions of \"" + directory_ + "\"");
        }
        for (const TablespaceTarget& t : plan_.destination.tablespaces)
            make_location(t);
        durability_.emplace(layout_.roots());
    }

    UnfinishedNote note() const {
        UnfinishedNote note{backup_.backup_id, {}};
        for (const auto& t : plan_.destination.tablespaces)
            note.tablespaces.push_back(t.location);
        return note;
    }

    // Between the plan and the lock somebody may have started a server, or filled the directory.
    void check_again() {
        DestinationRequest now = request_.destination;
        now.force = true;
        const bool was_empty = !plan_.destination.occupied;
        if (was_empty &&
            names_in_directory(directory_) != std::vector<std::string>{kUnfinishedName}) {
            const std::string path = directory_;
            mark_->finish();
            throw Error(ErrorCode::refused,
                        "data directory \"" + path + "\" is not empty any more");
        }
        if (!was_empty)
            check_destination(now, backup_, repository_.url());
    }

    void clear() {
        const bool keeps_wal = !plan_.kept_wal.empty();
        if (keeps_wal)
            result_.kept_wal_directory = make_kept_wal_directory(directory_);
        // From here on the old cluster cannot be started, nor can anything half-made.
        if (exists(path(kControlPath))) {
            remove_if_exists(path(kControlPath));
            fsync_directory(path("global"));
        }
        PG_ARK_FAULT_POINT("restore_after_control_removed");
        if (keeps_wal)
            move_wal(directory_, plan_.kept_wal, result_.kept_wal_directory);
        PG_ARK_FAULT_POINT("restore_after_keeping_wal");
        if (is_delta()) {
            prune(repository_, backup_, {directory_, ""}, {kUnfinishedName}, [this] { report(); });
        } else {
            empty_directory(directory_, {kUnfinishedName});
        }
        PG_ARK_FAULT_POINT("restore_after_emptying");
        for (const std::string& old : plan_.destination.old_tablespace_directories) {
            const auto target = target_of(old);
            if (is_delta() && target) {
                prune(repository_, backup_,
                      {old, "pg_tblspc/" + std::to_string(*target) + "/" +
                                tablespace_version_directory(backup_)},
                      {}, [this] { report(); });
            } else {
                remove_tree(old);
            }
        }
    }

    bool is_delta() const { return request_.destination.delta && plan_.destination.occupied; }

    // The restored tablespace that has its files in this directory.
    std::optional<uint32_t> target_of(const std::string& version_directory) const {
        for (const TablespaceTarget& t : plan_.destination.tablespaces) {
            if (own_directory_of(t) == version_directory)
                return t.oid;
        }
        return std::nullopt;
    }

    std::string own_directory_of(const TablespaceTarget& t) const {
        return t.location + "/" + tablespace_version_directory(backup_);
    }

    void make_location(const TablespaceTarget& t) {
        try {
            make_directories(t.location, 0700);
        } catch (Error& error) {
            error.hint = hint_to_make(t);
            throw;
        }
        // Also the test whether it is ours to write in, and nobody else's since the plan was made.
        const std::string own = own_directory_of(t);
        if (::mkdir(own.c_str(), 0700) == 0)
            return;
        const auto& old = plan_.destination.old_tablespace_directories;
        if (errno == EEXIST && is_delta() && std::ranges::count(old, own) > 0)
            return;
        if (errno != EEXIST) {
            throw system_error(errno, "could not create directory \"" + own + "\"",
                               hint_to_make(t));
        }
        throw Error(ErrorCode::refused,
                    "tablespace location \"" + t.location + "\" was taken meanwhile",
                    "There is a directory \"" + own + "\".", hint_to_map(t.original));
    }

    static std::string hint_to_make(const TablespaceTarget& t) {
        return "Make \"" + t.location + "\" for the user that runs PostgreSQL. " +
               hint_to_map(t.original);
    }

    void write() {
        try {
            write_files(repository_, chain_, layout_, *durability_, {request_.jobs, is_delta()},
                        checksums_, counters_, [this] { report(); });
            PG_ARK_FAULT_POINT("restore_after_files");
            if (std::string warning = counters_.bad_checksums.describe(); !warning.empty())
                result_.warnings.push_back(std::move(warning));
            make_wal_directories();
            link_tablespaces();
            write_manifest(repository_, chain_, checksums_, path("backup_manifest"));
            PG_ARK_FAULT_POINT("restore_after_manifest");
        } catch (Error& error) {
            if (error.code == ErrorCode::disk_full && error.hint.empty()) {
                error.hint =
                    "Make room and run the command again with --delta; what was restored so "
                    "far cannot be started.";
            }
            throw;
        }
    }

    // Whatever the backup has: the server wants them.
    void make_wal_directories() const {
        make_directories(path("pg_wal/archive_status"), 0700);
        if (major_of(backup_.pg_version_num) >= kFirstWithWalSummaries)
            make_directories(path("pg_wal/summaries"), 0700);
        make_directories(path("pg_tblspc"), 0700);
    }

    void link_tablespaces() const {
        for (const TablespaceTarget& t : plan_.destination.tablespaces) {
            const std::string link = path("pg_tblspc/" + std::to_string(t.oid));
            if (::symlink(t.location.c_str(), link.c_str()) != 0) {
                throw system_error(errno, "could not create symbolic link \"" + link + "\"");
            }
        }
        PG_ARK_FAULT_POINT("restore_after_links");
    }

    void configure() {
        // A cluster that was a standby once has left these; this one recovers from the archive.
        remove_if_exists(path("standby.signal"));
        remove_if_exists(path("recovery.signal"));
        if (!request_.scratch)
            configure_server();
        write_small_file(path(request_.standby ? "standby.signal" : "recovery.signal"), "");
        PG_ARK_FAULT_POINT("restore_after_recovery_signal");
        remove_if_exists(path(kCloneMarkName));
        if (!request_.take_over)
            write_small_file(path(kCloneMarkName), clone_text());
        PG_ARK_FAULT_POINT("restore_after_clone_mark");
        // Once more, for the few files since: they must not be less durable than pg_control.
        durability_->finish();
    }

    void configure_server() {
        std::vector<std::string> files = restore_configuration(repository_, backup_, directory_,
                                                               result_.notices, result_.warnings);
        files.push_back(path(kAutoConf));
        const std::string without_module = settings_for_missing_module(files);
        PG_ARK_FAULT_POINT("restore_after_configuration");
        const auto old = read_file_if_exists(path(kAutoConf), kConfigLimit);
        const RecoverySettings settings{request_.program,
                                        repository_.url(),
                                        plan_.source.cluster,
                                        plan_.source.way.timeline(),
                                        plan_.source.target,
                                        request_.action,
                                        plan_.read_ahead,
                                        request_.standby,
                                        request_.primary_conninfo,
                                        request_.key,
                                        request_.require_encryption,
                                        repository_.store().as_of()};
        write_small_file(path(kAutoConf),
                         recovery_auto_conf(old ? as_text(*old) : std::string_view(), settings,
                                            backup_.backup_id) +
                             without_module);
    }

    // The machine may have the executable alone, and has to do. Not by changing postgresql.conf:
    // pg_verifybackup compares it.
    std::string settings_for_missing_module(const std::vector<std::string>& files) {
        const int major = static_cast<int>(major_of(backup_.pg_version_num));
        const auto libraries = find_library_directory(request_.program, major);
        if (!libraries || exists(*libraries + "/pg_ark.so"))
            return {};
        std::string settings = settings_without_module(files, !request_.take_over);
        if (settings.empty())
            return {};
        result_.warnings.push_back(
            "the server's module of pg_ark is not in \"" + *libraries +
            "\": settings at the end of postgresql.auto.conf let the server start without it. " +
            (request_.take_over ? "Its WAL stays in pg_wal and nothing archives it: install pg_ark"
                                : "It archives nothing; to make it the real cluster install "
                                  "pg_ark") +
            ", remove these settings, and restart");
        return settings;
    }

    std::string clone_text() const {
        return "This cluster was restored by pg_ark " PG_ARK_VERSION " from backup " +
               backup_.backup_id + "\nof repository " + repository_.url() + "\nat " +
               to_iso8601(now_micros()) +
               ".\nAs long as this file is here nothing is archived and no backup is taken. If the "
               "cluster takes\nthe place of the original, run SELECT ark.adopt() in it.\n";
    }

    // The mark goes first: with pg_control in place the directory is whole, and nothing that is not
    // the cluster's may be left in it.
    void finish() {
        PG_ARK_FAULT_POINT("restore_before_control");
        report();  // the last place where an interruption still counts
        mark_->finish();
        PG_ARK_FAULT_POINT("restore_after_unmarking");
        const std::string control = path(kControlPath);
        if (::rename(path(kWaitingControlPath).c_str(), control.c_str()) != 0) {
            throw system_error(errno,
                               "could not rename file \"" + path(kWaitingControlPath) + "\"");
        }
        fsync_directory(path("global"));
        PG_ARK_FAULT_POINT("restore_after_control");
    }

    Repository& repository_;
    const RestoreRequest& request_;
    const RestorePlan& plan_;
    RestoreListener& listener_;
    const BackupChain& chain_;
    const BackupMarker& backup_;
    const std::string directory_;
    const Layout layout_;
    WriteCounters counters_;
    RestoredChecksums checksums_;
    RestorePhase phase_ = RestorePhase::clearing;
    std::optional<UnfinishedMark> mark_;
    std::optional<Durability> durability_;
    RestoreResult result_;
};

}  // namespace

const char* name_of(RestorePhase phase) noexcept {
    constexpr std::array kNames{"clearing", "writing", "syncing", "configuring", "done"};
    return kNames[static_cast<size_t>(phase)];
}

RestoreResult run_restore(Repository& repository, const RestoreRequest& request,
                          const RestorePlan& plan, RestoreListener& listener) {
    return RestoreJob(repository, request, plan, listener).run();
}

}  // namespace ark
