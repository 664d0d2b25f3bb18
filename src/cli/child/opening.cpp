#include "cli/child/opening.hpp"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/fault.hpp"
#include "core/pipeline/zstd.hpp"
#include "core/repo/cluster_keys.hpp"
#include "core/store/local.hpp"

namespace ark {

namespace {

constexpr uint64_t kProtocol = 1;
constexpr int kDefaultMemoryMegabytes = 512;
constexpr int kDefaultRetrySeconds = 300;

void answer_hello(Channel& channel, const Message& hello) {
    const uint64_t theirs = hello.number("protocol");
    if (theirs != kProtocol) {
        throw Error(ErrorCode::unsupported,
                    "the server module speaks protocol " + std::to_string(theirs) +
                        ", this executable speaks " + std::to_string(kProtocol),
                    "The module has version " + hello.text_or("module", "unknown") +
                        ", the executable " PG_ARK_VERSION ".",
                    "Install one version of both and restart the server.");
    }
    Message answer("hello");
    channel.send(answer.add_number("protocol", kProtocol).add_text("program", PG_ARK_VERSION));
}

ClusterInfo cluster_of(const Message& message) {
    ClusterInfo out;
    out.system_identifier = message.number("system_identifier");
    out.pg_version_num = static_cast<uint32_t>(message.number("pg_version_num"));
    out.pg_version = message.text("pg_version");
    out.data_directory = message.text("data_directory");
    out.wal_segment_size = message.number("wal_segment_size");
    if (!is_valid_segment_size(out.wal_segment_size)) {
        throw Error(ErrorCode::protocol_violation, "invalid WAL segment size from the server");
    }
    return out;
}

void apply_setting(Opening& opening, const Message& message) {
    const std::string name = message.token("name");
    const std::string value = message.text("value");
    opening.settings[name] = value;
    if (name == "fault")
        set_faults(value);
}

bool is_below(const std::string& path, const std::string& directory) {
    return path == directory || path.starts_with(directory + "/");
}

std::string canonical(const std::string& path) {
    // The place may not exist yet: then what exists of it decides.
    const std::unique_ptr<char, void (*)(void*)> resolved(realpath(path.c_str(), nullptr), free);
    if (resolved)
        return resolved.get();
    const size_t slash = path.find_last_of('/');
    if (slash == 0 || slash == std::string::npos)
        return path;
    return canonical(path.substr(0, slash)) + path.substr(slash);
}

// Where the cluster's files lie: the data directory and its tablespaces.
std::vector<std::string> places_of(const std::string& data_directory) {
    std::vector<std::string> out{canonical(data_directory)};
    std::error_code ignored;  // no tablespace, or none that can be listed now
    for (const auto& entry :
         std::filesystem::directory_iterator(data_directory + "/pg_tblspc", ignored)) {
        out.push_back(canonical(entry.path()));
    }
    return out;
}

// A repository inside the cluster would be backed up into itself and lost with it.
void refuse_inside(const Opening& opening) {
    const std::string url = opening.setting("repository", "");
    const std::optional<std::string> path = local_store_path(url);
    if (!path)
        return;
    const std::string place = canonical(*path);
    for (const std::string& directory : places_of(opening.cluster.data_directory)) {
        if (!is_below(place, directory))
            continue;
        throw Error(ErrorCode::refused, "repository \"" + url + "\" is inside the data directory",
                    "\"" + place + "\" lies in \"" + directory + "\".",
                    "Put it on another disk, better on another machine.");
    }
}

// Megabytes; 0: no limit.
uint64_t memory_budget(const Opening& opening, uint64_t segments_in_memory) {
    constexpr uint64_t kProgramItself = 64;
    const auto wanted = static_cast<uint64_t>(
        std::max(opening.setting_number("memory_limit_mb", kDefaultMemoryMegabytes), 0));
    if (wanted == 0 || segments_in_memory == 0)
        return wanted;
    return std::max(wanted,
                    kProgramItself + segments_in_memory * (opening.cluster.wal_segment_size >> 20));
}

// The engine speaks of options; a server has settings.
std::string in_settings(std::string hint) {
    const std::pair<std::string_view, std::string_view> words[] = {
        {"--key-file, PG_ARK_KEY_FILE", "pg_ark.encryption_key_file"},
        {"--key-command, PG_ARK_KEY_COMMAND", "pg_ark.encryption_key_command"},
    };
    for (const auto& [option, setting] : words) {
        const size_t at = hint.find(option);
        if (at != std::string::npos)
            hint.replace(at, option.size(), setting);
    }
    return hint;
}

EncryptionWish wish_of(const Opening& opening) {
    const std::string cipher = opening.setting("encryption", kCipherNone);
    if (cipher != kCipherNone && cipher != kCipherAesGcm) {
        throw Error(ErrorCode::unsupported,
                    "unknown value of pg_ark.encryption: \"" + cipher + "\"", {},
                    "Install one version of the server's module and the executable.");
    }
    EncryptionWish wish;
    wish.encrypts = opening.encrypts();
    wish.source = opening.key_source();
    wish.recipients = opening.setting("encryption_recipients", "");
    return wish;
}

// Where nothing is to be encrypted a key that can't be had keeps nobody from writing.
void set_vault(Channel& channel, Opening& opening, Repository& repository, bool without_key) {
    opening.key_error.reset();
    const EncryptionWish wish = wish_of(opening);
    try {
        prepare_encryption(repository, opening.cluster_name(), wish);
    } catch (Error& error) {
        if (without_key) {
            error.hint = in_settings(error.hint);
            opening.key_error = error;
            return;
        }
        if (!wish.encrypts) {
            channel.send(message_of(
                "warning", Error(error.code, "what was encrypted cannot be read: " + error.message,
                                 error.detail, in_settings(error.hint))));
            return;
        }
        error.hint = in_settings(error.hint);
        // The module takes "not found" for a repository that is not mounted.
        if (error.code == ErrorCode::not_found)
            error.code = ErrorCode::invalid_key;
        throw;
    }
}

void open_repository(Channel& channel, Opening& opening, const Message& message,
                     uint64_t segments_in_memory, int most_retry_seconds) {
    const std::string name = opening.cluster_name();
    if (!is_valid_name_part(name) || name == kProbeDirectory || name == "ark.json") {
        throw Error(ErrorCode::invalid_argument,
                    "invalid value of pg_ark.cluster: \"" + name + "\"", {},
                    "Use letters, digits, '_', '-' and '.', at most 128.");
    }
    if (!is_valid_compression_level(opening.setting_number("compression_level", 3))) {
        throw Error(ErrorCode::invalid_argument, "invalid value of pg_ark.compression_level");
    }
    refuse_inside(opening);
    const bool create = message.number_or("create", 0) != 0;
    StoreOptions options;
    options.retry_timeout = std::min(
        opening.setting_number("retry_timeout_s", kDefaultRetrySeconds), most_retry_seconds);
    auto repository = Repository::open(opening.setting("repository", ""),
                                       create ? OpenMode::create : OpenMode::write, options);
    set_vault(channel, opening, *repository, message.number_or("without_key", 0) != 0);
    // Not before: a passphrase takes more for a moment than the whole of the work.
    limit_memory(memory_budget(opening, segments_in_memory));
    opening.repository = std::move(repository);
}

}  // namespace

std::string Opening::cluster_name() const {
    const std::string name = setting("cluster", "");
    return name.empty() ? std::to_string(cluster.system_identifier) : name;
}

std::string Opening::setting(const std::string& name, const std::string& missing) const {
    const auto found = settings.find(name);
    return found == settings.end() ? missing : found->second;
}

bool Opening::encrypts() const {
    return setting("encryption", kCipherNone) != kCipherNone;
}

KeySource Opening::key_source() const {
    return {setting("encryption_key_file", ""), setting("encryption_key_command", "")};
}

int Opening::setting_number(const std::string& name, int missing) const {
    const std::string text = setting(name, std::to_string(missing));
    int value = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
    if (result.ec != std::errc{} || result.ptr != text.data() + text.size()) {
        throw Error(ErrorCode::invalid_argument, "setting \"" + name + "\" is not a number");
    }
    return value;
}

std::optional<Opening> open_conversation(Channel& channel, uint64_t segments_in_memory,
                                         const std::function<bool(const Message&)>& other,
                                         int most_retry_seconds) {
    Opening opening;
    while (const std::optional<Message> message = channel.receive()) {
        try {
            const std::string& verb = message->verb();
            if (verb == "hello") {
                answer_hello(channel, *message);
            } else if (verb == "setting") {
                apply_setting(opening, *message);
            } else if (verb == "cluster") {
                opening.cluster = cluster_of(*message);
            } else if (verb == "open") {
                open_repository(channel, opening, *message, segments_in_memory, most_retry_seconds);
                Message answer("opened");
                channel.send(answer.add_token("repository_id", opening.repository->id()));
                return opening;
            } else if (!other || !other(*message)) {
                throw Error(ErrorCode::protocol_violation, "unexpected message \"" + verb + "\"",
                            "The conversation was not opened yet.");
            }
        } catch (const Error& error) {
            if (error.code == ErrorCode::cancelled)
                throw;
            channel.send(message_of("error", error));
        }
    }
    return std::nullopt;
}

}  // namespace ark
