#include "cli/command_audit.hpp"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/base/bytes.hpp"
#include "core/base/clock.hpp"
#include "core/base/fault.hpp"
#include "core/base/file.hpp"
#include "core/repo/audit.hpp"
#include "core/repo/evidence.hpp"
#include "core/repo/stored_keyring.hpp"
#include "core/repo/vault_store.hpp"

namespace ark {

namespace {

using nlohmann::json;

constexpr double kMostRetrySeconds = 10;
constexpr size_t kMostText = 1000;

std::string name_of_user(uid_t uid) {
    std::array<char, 16384> buffer{};
    passwd entry{};
    passwd* found = nullptr;
    if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr)
        return found->pw_name;
    return std::to_string(uid);
}

// What su and sudo do not change; "" where nobody logged in, or the kernel does not keep it.
std::string name_of_login() {
    constexpr uint32_t kNobody = UINT32_MAX;
    try {
        const auto text = read_file_if_exists("/proc/self/loginuid", 32);
        const auto uid =
            text ? static_cast<uint32_t>(std::stoul(std::string(as_text(*text)))) : kNobody;
        return uid == kNobody ? "" : name_of_user(uid);
    } catch (const std::exception&) {
        return "";
    }
}

}  // namespace

CommandActor::CommandActor() : os_user(name_of_user(::getuid())), login_user(name_of_login()) {
    if (login_user == os_user)
        login_user.clear();
}

CommandAudit::CommandAudit(const CommandActor& actor, const RepositoryOptions& options,
                           Repository& repository, std::string cluster, CommandAct act,
                           AuditNeed need)
    : actor_(actor), cluster_(std::move(cluster)), act_(std::move(act)), need_(need) {
    // Who reads the past of a bucket that was attacked writes nothing into its present.
    if (options.no_audit || !options.as_of.empty())
        return;
    try {
        open(options, repository);
    } catch (const Error& error) {
        repository_.reset();
        require_or_tell(error);
    }
}

void CommandAudit::open(const RepositoryOptions& options, Repository& repository) {
    StoreOptions store;
    store.retry_timeout = std::min(options.retry_timeout, kMostRetrySeconds);
    repository_ = Repository::open(required_repo(options), OpenMode::write, store);
    const std::shared_ptr<const Vault> vault = vault_of(repository.store(), cluster_);
    if (vault && vault->encrypts()) {
        repository_->use_vault(cluster_, vault);
    } else if (find_keyring(repository_->store(), cluster_)) {
        throw Error(ErrorCode::invalid_key, "cluster \"" + cluster_ + "\" has encryption keys",
                    "Without one its audit log is not written, since it would not be encrypted.",
                    "Use --key-file or --key-command.");
    }
}

void CommandAudit::run(const std::function<std::string()>& work) {
    // Before the act: an entry too many is better than one that is missing.
    const bool begun = add("accepted");
    PG_ARK_FAULT_POINT("command_audit_begun");
    const auto end = [&](const char* outcome, const std::string& message,
                         const std::string& sqlstate) {
        if (!begun)
            return;
        try {
            store(outcome, message, sqlstate);
        } catch (const std::exception& error) {  // what is done is done
            std::fprintf(stderr,
                         "pg_ark: warning: the end of this is not in the audit log of the "
                         "repository: %s\n",
                         error.what());
        }
    };
    try {
        const std::string message = work();
        end("completed", message, "");
    } catch (const Error& error) {
        end(error.code == ErrorCode::cancelled ? "cancelled" : "failed", error.message,
            sqlstate_of(error.code));
        throw;
    } catch (const std::exception& error) {
        end("failed", error.what(), sqlstate_of(ErrorCode::internal));
        throw;
    }
}

bool CommandAudit::add(const std::string& outcome, const std::string& message,
                       const std::string& sqlstate) {
    if (!repository_)
        return false;
    try {
        store(outcome, message, sqlstate);
        return true;
    } catch (const Error& error) {
        require_or_tell(error);
        return false;
    }
}

void CommandAudit::store(const std::string& outcome, const std::string& message,
                         const std::string& sqlstate) {
    const UnixMicros now = now_micros();
    json entry{{"id", make_uuid()},  {"at", to_iso8601(now)}, {"act", act_.act},
               {"outcome", outcome}, {"backend", "pg_ark"},   {"pid", ::getpid()},
               {"times", 1}};
    const auto put = [&](const char* key, const std::string& text) {
        if (!text.empty())
            entry[key] = text.substr(0, kMostText);
    };
    put("target", act_.target);
    put("backup_id", act_.backup_id);
    put("os_user", actor_.os_user);
    put("login_user", actor_.login_user);
    put("host", make_writer({}).host);
    put("sqlstate", sqlstate);
    put("message", message);
    // A path may be anything, and what was cut may end within a character.
    const std::string text =
        json::array({entry}).dump(-1, ' ', false, json::error_handler_t::replace);
    store_audit(*repository_, cluster_, now, make_uuid(), text);
}

void CommandAudit::require_or_tell(const Error& error) {
    if (need_ == AuditNeed::required) {
        throw Error(error.code, "could not write the audit log of the repository: " + error.message,
                    error.detail.empty() ? "Nothing was changed." : error.detail, error.hint);
    }
    std::fprintf(stderr, "pg_ark: warning: this is not in the audit log of the repository: %s\n",
                 error.message.c_str());
    std::fprintf(stderr,
                 "HINT:  Use --no-audit where the repository shall not, or cannot, be written.\n");
}

void add_audit_option(CLI::App& command, RepositoryOptions& options) {
    command.add_flag("--no-audit", options.no_audit,
                     "write nothing into the repository's audit log");
}

}  // namespace ark
