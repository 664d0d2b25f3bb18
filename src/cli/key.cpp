// pg_ark key: the encryption keys of a cluster.

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.hpp"
#include "cli/command_audit.hpp"
#include "core/base/clock.hpp"
#include "core/base/file.hpp"
#include "core/repo/json_text.hpp"
#include "core/repo/stored_keyring.hpp"

namespace ark {

namespace {

using nlohmann::json;

struct KeyCommand {
    std::string action;
    RepositoryOptions repository;
    std::vector<std::string> other_files;  ///< --other-key-file
    std::string new_file;                  ///< --new-key-file
    uint32_t slot = 0;                     ///< --slot
};

std::string_view text_of(const SecretBytes& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Never over one that is there: it may be all that opens something.
bool make_key_file(const std::string& path) {
    struct stat st {};
    if (::lstat(path.c_str(), &st) == 0)
        return false;
    File file = File::open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    file.write_all(std::span<const std::byte>(make_key_secret()));
    file.fsync();
    fsync_directory(parent_directory(path));
    return true;
}

KeySecret secret_of_file(const std::string& path) {
    return read_key_secret({std::filesystem::absolute(path).string(), {}});
}

const char* name_of(KeySecret::Type type) {
    return type == KeySecret::Type::key ? "key" : "passphrase";
}

json json_of(const Keyring& keyring) {
    json out{{"cluster", keyring.cluster},
             {"generation", keyring.generation},
             {"created_at", to_iso8601(keyring.created_at)},
             {"current", keyring.current},
             {"keys", json::array()},
             {"slots", json::array()}};
    for (const StoredKey& key : keyring.keys) {
        json slots = json::array();
        for (const auto& root : key.roots)
            slots.push_back(root.first);
        out["keys"].push_back(
            {{"id", key.id}, {"created_at", to_iso8601(key.created_at)}, {"slots", slots}});
    }
    for (const KeySlot& slot : keyring.slots)
        out["slots"].push_back({{"slot", slot.number}, {"type", name_of(slot.type)}});
    return out;
}

void print_text(const Keyring& keyring) {
    std::printf("cluster %s, keyring %llu of %s\n", keyring.cluster.c_str(),
                static_cast<unsigned long long>(keyring.generation),
                to_iso8601(keyring.created_at).substr(0, 19).c_str());
    for (const StoredKey& key : keyring.keys) {
        std::string slots;
        for (const auto& root : key.roots)
            slots += " " + std::to_string(root.first);
        std::printf("  key %s  %s  opened by slots%s%s\n", key.id.c_str(),
                    to_iso8601(key.created_at).substr(0, 19).c_str(), slots.c_str(),
                    key.id == keyring.current ? "  (new objects are written under it)" : "");
    }
    for (const KeySlot& slot : keyring.slots)
        std::printf("  slot %u  %s\n", slot.number, name_of(slot.type));
}

class KeyAction {
 public:
    explicit KeyAction(const KeyCommand& options)
        : options_(options), keys_(options.repository.key.source()) {}

    void run() {
        const std::map<std::string, std::function<void()>> actions{
            {"create", [this] { create(); }},
            {"list", [this] { list(); }},
            {"check", [this] { check(); }},
            {"rotate", [this] { rotate(); }},
            {"add-slot", [this] { add_slot(); }},
            {"remove-slot", [this] { remove_slot(); }},
            {"export-recipient", [this] { export_recipient(); }}};
        const auto action = actions.find(options_.action);
        if (action == actions.end()) {
            throw Error(ErrorCode::invalid_argument,
                        "unknown action \"" + options_.action + "\" of \"pg_ark key\"", {},
                        "It is create, list, check, rotate, add-slot, remove-slot or "
                        "export-recipient.");
        }
        action->second();
    }

 private:
    bool is_text() const { return options_.repository.output == OutputFormat::text; }

    void open_repository(OpenMode mode) {
        StoreOptions store;
        store.retry_timeout = options_.repository.retry_timeout;
        repository_ = Repository::open(required_repo(options_.repository), mode, store);
    }

    void find_cluster() {
        open_repository(OpenMode::write);
        cluster_ = repository_->resolve_cluster(options_.repository.cluster);
    }

    Keyring stored_keyring() {
        std::optional<Keyring> keyring = find_keyring(repository_->store(), cluster_);
        if (keyring)
            return std::move(*keyring);
        throw Error(ErrorCode::not_found, "cluster \"" + cluster_ + "\" has no encryption keys", {},
                    "\"pg_ark key create\" makes them.");
    }

    OpenKeyring opened_keyring() {
        find_cluster();
        OpenKeyring keyring = OpenKeyring::open(stored_keyring(), keys_.secret());
        use_vault(keyring);
        return keyring;
    }
    // For the audit log: under the key that counts before the change.
    void use_vault(const OpenKeyring& keyring) {
        repository_->use_vault(
            cluster_, std::make_shared<const Vault>(std::make_shared<const OpenKeyring>(keyring)));
    }

    // The cluster need not be there: its first WAL shall be encrypted.
    void create() {
        cluster_ = options_.repository.cluster;
        if (!is_valid_name_part(cluster_) || cluster_ == kProbeDirectory ||
            cluster_ == "ark.json") {
            throw Error(ErrorCode::invalid_argument, "no cluster given, or no valid one", {},
                        "Use --cluster ID with what SELECT system_identifier FROM "
                        "pg_control_system() says, or with pg_ark.cluster where that is set.");
        }
        open_repository(OpenMode::create);
        if (find_keyring(repository_->store(), cluster_)) {
            throw Error(ErrorCode::already_exists,
                        "cluster \"" + cluster_ + "\" has encryption keys already", {},
                        "\"pg_ark key rotate\" makes a new one.");
        }
        const std::string file = keys_.source().file;
        const bool made = !file.empty() && make_key_file(file);
        OpenKeyring keyring = OpenKeyring::make(cluster_, keys_.secret());
        store(keyring, made ? json{{"key_file", file}} : json::object());
        // There was nothing before to encrypt an entry with, and the keyring says who made it.
        use_vault(keyring);
        CommandAudit(actor_, options_.repository, *repository_, cluster_, {"key create", "", ""})
            .add("completed", "keyring 1, key " + keyring.keyring().current);
        if (is_text() && made) {
            std::printf(
                "a new key is in \"%s\": keep a copy of it where neither this machine's loss "
                "nor the repository's takes it away\n",
                file.c_str());
        }
    }

    void list() {
        find_cluster();
        const Keyring keyring = stored_keyring();
        if (is_text())
            print_text(keyring);
        else
            print(json_of(keyring));
    }

    void check() {
        const OpenKeyring keyring = opened_keyring();
        if (is_text()) {
            std::printf(
                "the key opens keyring %llu of cluster %s by slot %u: %zu keys, the "
                "current one is %s\n",
                static_cast<unsigned long long>(keyring.keyring().generation), cluster_.c_str(),
                keyring.slot(), keyring.keyring().keys.size(), keyring.keyring().current.c_str());
            return;
        }
        json out = json_of(keyring.keyring());
        out["slot"] = keyring.slot();
        print(out);
    }

    void rotate() {
        OpenKeyring keyring = opened_keyring();
        std::vector<KeySecret> others;
        for (const std::string& file : options_.other_files)
            others.push_back(secret_of_file(file));
        const std::vector<uint32_t> left = keyring.rotate(others);
        audited_store(keyring, "key rotate", "", {{"left_behind", left}});
        for (const uint32_t slot : left) {
            std::fprintf(stderr,
                         "pg_ark: warning: slot %u does not open the new key: its key was not "
                         "named with --other-key-file\n",
                         slot);
        }
    }

    void add_slot() {
        OpenKeyring keyring = opened_keyring();
        if (options_.new_file.empty())
            throw Error(ErrorCode::invalid_argument, "no key for the new slot given", {},
                        "Use --new-key-file FILE; a file that is not there is made.");
        const std::string file = std::filesystem::absolute(options_.new_file).string();
        const bool made = make_key_file(file);
        const uint32_t slot = keyring.add_slot(secret_of_file(file));
        json more{{"slot", slot}};
        if (made)
            more["key_file"] = file;
        audited_store(keyring, "key add-slot", "slot " + std::to_string(slot), more);
        if (is_text())
            std::printf("\"%s\" opens it, too, by slot %u\n", file.c_str(), slot);
    }

    void remove_slot() {
        if (options_.slot == 0)
            throw Error(ErrorCode::invalid_argument, "no slot given", {}, "Use --slot N.");
        OpenKeyring keyring = opened_keyring();
        keyring.remove_slot(options_.slot);
        audited_store(keyring, "key remove-slot", "slot " + std::to_string(options_.slot),
                      {{"removed_slot", options_.slot}});
    }

    void export_recipient() {
        const OpenKeyring keyring = opened_keyring();
        const SecretBytes text = to_text(keyring.recipient());
        CommandAudit(actor_, options_.repository, *repository_, cluster_,
                     {"key export-recipient", "key " + keyring.keyring().current, ""})
            .add("completed");
        if (is_text()) {
            std::printf("%.*s\n", static_cast<int>(text.size()), text_of(text).data());
            return;
        }
        print({{"cluster", cluster_},
               {"key", keyring.keyring().current},
               {"recipient", text_of(text)}});
    }

    // Who may open everything is changed in no silence: without the entry it is not changed.
    void audited_store(OpenKeyring& keyring, const std::string& act, const std::string& target,
                       const json& more) {
        CommandAudit(actor_, options_.repository, *repository_, cluster_, {act, target, ""},
                     AuditNeed::required)
            .run([&] {
                store(keyring, more);
                return "keyring " + std::to_string(keyring.keyring().generation) + ", key " +
                       keyring.keyring().current;
            });
    }
    void store(OpenKeyring& keyring, const json& more) {
        store_next_keyring(repository_->store(), keyring, make_writer(""));
        if (is_text()) {
            print_text(keyring.keyring());
            return;
        }
        json out = json_of(keyring.keyring());
        out.update(more);
        print(out);
    }

    static void print(const json& object) { std::printf("%s\n", object.dump(2).c_str()); }

    const KeyCommand& options_;
    const CommandActor actor_;
    ClusterKeys keys_;
    std::unique_ptr<Repository> repository_;
    std::string cluster_;
};

}  // namespace

void add_key_command(const CommandContext& context) {
    CLI::App* command = context.app.add_subcommand("key", "Make and change encryption keys");
    const auto options = std::make_shared<KeyCommand>();
    command
        ->add_option("ACTION", options->action,
                     "create, list, check, rotate, add-slot, remove-slot or export-recipient")
        ->required();
    RepositoryOptions& repository = options->repository;
    add_repo_option(*command, repository);
    command
        ->add_option("--cluster", repository.cluster,
                     "the cluster's directory in the repository; for create the system identifier "
                     "of the server, or its pg_ark.cluster")
        ->option_text("ID");
    add_key_source_options(*command, repository.key);
    command
        ->add_option("--other-key-file", options->other_files,
                     "rotate: another key that shall open the new one, too; repeat for each")
        ->allow_extra_args(false)
        ->option_text("FILE");
    command
        ->add_option("--new-key-file", options->new_file,
                     "add-slot: the key to add; made where the file is not there")
        ->option_text("FILE");
    command->add_option("--slot", options->slot, "remove-slot: its number")->option_text("N");
    add_output_option(*command, repository.output);
    add_retry_option(*command, repository);
    command->footer(
        "A cluster's keys lie in the repository, each locked by slots. A key file, or a "
        "passphrase, "
        "opens\n"
        "one slot. Without any that opens one, nothing that was encrypted can be read ever again.\n"
        "create makes the file of --key-file where it is not there. rotate makes a new key for "
        "what "
        "is\n"
        "written from now on, and rewrites nothing: what is there is read with the older keys.\n"
        "export-recipient prints what a host needs that writes and shall not read. It is no key, "
        "but whoever\n"
        "has it can write what readers take for the cluster's own: keep it in a file of the "
        "server's user.\n"
        "Examples:\n"
        "  pg_ark key create --repo file:///srv/ark --cluster 7431267891726354123 --key-file "
        "/etc/ark.key\n"
        "  pg_ark key check --repo file:///srv/ark --key-file /etc/ark.key\n"
        "  pg_ark key rotate --repo file:///srv/ark --key-command 'vault kv get -field=key ark'\n"
        "  pg_ark key add-slot --repo file:///srv/ark --key-file /etc/ark.key --new-key-file "
        "/mnt/safe/ark.key\n"
        "  pg_ark key list --repo file:///srv/ark --output json\n"
        "  pg_ark key export-recipient --repo file:///srv/ark --key-file /etc/ark.key");
    command->callback([context, options] {
        context.output = options->repository.output;
        KeyAction(*options).run();
        context.status = 0;
    });
}

}  // namespace ark
