// The role server-catalog: questions about the repository, for the server's sweep, preflight() and
// what can be recovered.

#include <algorithm>

#include "cli/child/encryption_check.hpp"
#include "cli/child/opening.hpp"
#include "cli/child/recoverability.hpp"
#include "cli/command.hpp"
#include "core/backup/cleanup.hpp"
#include "core/repo/audit.hpp"
#include "core/repo/json_text.hpp"
#include "core/repo/marker.hpp"
#include "core/repo/probe.hpp"
#include "core/store/store_check.hpp"

namespace ark {

namespace {

// Questions about WAL hold one as it is stored, its content, and another one that was read before.
constexpr uint64_t kSegmentsInMemory = 3;

// The packs' digests are what makes a marker of a large backup long, and no question here is about
// them: without them it fits a message.
void send_backup(Channel& channel, BackupMarker marker) {
    marker.packs.clear();
    Message message("backup");
    channel.send(message.add_text("json", to_json(marker)));
}

// What is known of a backup whose marker this server can't read. Its type and when it was asked for
// are in its id.
void send_outline(Channel& channel, const BackupOutline& backup) {
    const std::optional<BackupName> name = parse_backup_id(backup.backup_id);
    if (!name)
        throw Error(ErrorCode::invalid_key,
                    "backup \"" + backup.backup_id + "\" is encrypted, and its id tells nothing");
    const nlohmann::json outline{{"backup_id", backup.backup_id},
                                 {"backup_type", name->backup_type},
                                 {"started_at", to_iso8601(name->started_at)},
                                 {"completed_at", to_iso8601(backup.completed_at)},
                                 {"timeline", backup.range.timeline},
                                 {"start_lsn", to_text(backup.range.start)},
                                 {"stop_lsn", to_text(backup.range.stop)}};
    Message message("backup");
    channel.send(message.add_text("json", outline.dump()));
}

void send_backup(Channel& channel, BackupOutline backup) {
    if (backup.marker) {
        send_backup(channel, std::move(*backup.marker));
    } else {
        send_outline(channel, backup);
    }
}

bool is_uuid(const std::string& text) {
    constexpr std::string_view kForm = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    return std::ranges::equal(text, kForm, [](char c, char form) {
        return form == '-' ? c == '-' : (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    });
}

void list(Channel& channel, const Opening& opening) {
    Repository& repository = *opening.repository;
    const std::string cluster = opening.cluster_name();
    for (const std::string& id : repository.store().list_parts(cluster + "/backup")) {
        try {
            if (auto backup = outline_backup(repository, cluster, id))
                send_backup(channel, std::move(*backup));
        } catch (const Error& error) {
            if (error.retryable)
                throw;
            channel.send(message_of(
                "warning",
                Error(error.code, "could not read a backup's marker",
                      id + ": " + error.message +
                          (error.detail.empty() ? "" : " (" + error.detail + ")") + ".")));
        }
    }
    channel.send(Message("end"));
}

void find(Channel& channel, const Opening& opening, const std::string& id) {
    auto backup = outline_backup(*opening.repository, opening.cluster_name(), id);
    if (backup) {
        send_backup(channel, std::move(*backup));
    } else {
        channel.send(Message("end"));
    }
}

// What was found out about a backup, here or on other hosts: the names of its evidence.
void tests(Channel& channel, const Opening& opening, const std::string& id) {
    constexpr std::string_view kEnd = ".json";
    const std::string directory = opening.cluster_name() + "/backup/" + id + "/tests";
    std::vector<std::string> found;
    opening.repository->store().list(directory, [&](const ObjectInfo& object) {
        const std::string name = object.name.substr(object.name.rfind('/') + 1);
        if (name.ends_with(kEnd) && is_uuid(name.substr(0, name.size() - kEnd.size())))
            found.push_back(name.substr(0, name.size() - kEnd.size()));
        return true;
    });
    for (const std::string& test : found) {
        Message message("test");
        channel.send(message.add_token("test", test));
    }
    channel.send(Message("end"));
}

void evidence(Channel& channel, const Opening& opening, const std::string& id,
              const std::string& test) {
    constexpr uint64_t kLimit = 520 * 1000;
    const auto content = read_small(opening.repository->store(), opening.cluster_name(),
                                    ObjectKind::evidence, place::evidence(id, test), kLimit);
    if (!content) {
        channel.send(Message("end"));
        return;
    }
    Message message("evidence");
    channel.send(message.add_text("json", as_text(*content)));
}

void cleanup(Channel& channel, const Opening& opening, const std::string& id) {
    const CleanupResult result = remove_unfinished_backup(
        *opening.repository, opening.cluster_name(), id, opening.cluster.data_directory);
    Message message("cleaned");
    channel.send(message.add_number("objects", result.objects).add_text("kept", result.kept));
}

void tidy(Channel& channel, const Opening& opening) {
    const CleanupResult result = remove_abandoned(*opening.repository, opening.cluster_name());
    Message message("cleaned");
    channel.send(message.add_number("objects", result.objects).add_text("kept", result.kept));
}

void check(Channel& channel, const Opening& opening, bool with_findings) {
    ObjectStore& store = opening.repository->store();
    const auto tell = [&](const StoreFinding& finding) {
        if (!with_findings)
            return;
        Message message("finding");
        channel.send(message.add_token("name", finding.name)
                         .add_token("level", name_of(finding.level))
                         .add_text("detail", finding.detail)
                         .add_text("hint", finding.hint));
    };
    if (with_findings)
        tell(check_encryption(opening));
    const StoreCheck result = check_store(store, probe_name(), tell);
    Message message("checked");
    message.add_number("writable", result.is_writable ? 1 : 0)
        .add_number("create_if_absent", result.creates_if_absent ? 1 : 0)
        .add_text("detail", result.trouble);
    if (const auto free_bytes = store.free_bytes())
        message.add_number("free_bytes", *free_bytes);
    channel.send(message);
}

void answer(Channel& channel, const Opening& opening, const Message& message) {
    const std::string& verb = message.verb();
    if (opening.key_error && opening.encrypts() && verb != "check")
        throw Error(*opening.key_error);
    if (verb == "list") {
        list(channel, opening);
    } else if (verb == "find") {
        find(channel, opening, message.token("id"));
    } else if (verb == "tests") {
        tests(channel, opening, message.token("id"));
    } else if (verb == "evidence") {
        evidence(channel, opening, message.token("id"), message.token("test"));
    } else if (verb == "cleanup") {
        cleanup(channel, opening, message.token("id"));
    } else if (verb == "tidy") {
        tidy(channel, opening);
    } else if (verb == "check") {
        check(channel, opening, message.number_or("findings", 0) != 0);
    } else if (verb == "audit") {
        store_audit(*opening.repository, opening.cluster_name(),
                    static_cast<UnixMicros>(message.number("at")), message.token("id"),
                    message.text("entries"));
        channel.send(Message("stored"));
    } else if (verb == "ranges") {
        send_ranges(channel, opening, message);
    } else if (verb == "gaps") {
        send_gaps(channel, opening, message);
    } else if (verb == "can_recover") {
        send_recovery(channel, opening, message);
    } else {
        throw Error(ErrorCode::protocol_violation, "unexpected message \"" + verb + "\"");
    }
}

}  // namespace

int run_server_catalog() {
    become_child();
    Channel channel;
    const std::optional<Opening> opening = open_conversation(channel, kSegmentsInMemory);
    if (!opening)
        return 0;
    while (const std::optional<Message> message = channel.receive()) {
        try {
            answer(channel, *opening, *message);
        } catch (const std::bad_alloc&) {
            channel.send(message_of("error", Error(ErrorCode::out_of_memory, "out of memory", {},
                                                   "Raise pg_ark.memory_limit.")));
        } catch (const Error& error) {
            channel.send(message_of("error", error));
        } catch (const std::exception& error) {
            channel.send(message_of("error", Error(ErrorCode::internal, error.what())));
        }
    }
    return 0;
}

}  // namespace ark
