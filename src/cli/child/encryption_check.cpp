#include "cli/child/encryption_check.hpp"

#include <optional>
#include <string>

#include "core/base/error.hpp"
#include "core/repo/stored_keyring.hpp"
#include "core/repo/vault_store.hpp"

namespace ark {

namespace {

constexpr const char* kName = "encryption";
constexpr const char* kExportAnew =
    "Set pg_ark.encryption_recipients to what \"pg_ark key export-recipient\" prints now.";

std::string in_words(const Error& error) {
    return error.message + (error.detail.empty() ? "" : ": " + error.detail);
}

std::string hint_of(const Error& error) {
    if (!error.hint.empty())
        return error.hint;
    return "Check pg_ark.encryption_key_file or pg_ark.encryption_key_command, and that the "
           "server's operating system user may read the file or run the command.";
}

StoreFinding of_recipients(const Opening& opening, const Keyring& keyring) {
    for (const Recipient& recipient :
         parse_recipients(opening.setting("encryption_recipients", ""))) {
        if (recipient.key_id != keyring.current) {
            return {kName, CheckLevel::warning,
                    "on, for key " + recipient.key_id + ", which is no longer the current one",
                    kExportAnew};
        }
    }
    return {kName, CheckLevel::good, "on, for recipients: this server cannot read what it writes",
            ""};
}

StoreFinding of_opening(const Opening& opening) {
    if (opening.key_error && opening.encrypts())
        throw Error(*opening.key_error);
    ObjectStore& store = opening.repository->store();
    const std::optional<Keyring> keyring = find_keyring(store, opening.cluster_name());
    if (!opening.encrypts()) {
        if (opening.key_error) {
            return {kName, CheckLevel::warning,
                    "off, and what was encrypted cannot be read: " + in_words(*opening.key_error),
                    hint_of(*opening.key_error)};
        }
        if (!keyring)
            return {kName, CheckLevel::note, "off", ""};
        return {kName, CheckLevel::warning, "off, although the cluster has keys",
                "Set pg_ark.encryption to aes-256-gcm, unless that is wanted."};
    }
    if (keyring && only_writes(store, opening.cluster_name()))
        return of_recipients(opening, *keyring);
    const bool unused = !opening.setting("encryption_recipients", "").empty();
    return {kName, CheckLevel::good,
            "on, under key " + (keyring ? keyring->current : std::string()) +
                ", which this server has opened" +
                (unused ? "; pg_ark.encryption_recipients is not used" : ""),
            ""};
}

}  // namespace

StoreFinding check_encryption(const Opening& opening) {
    try {
        return of_opening(opening);
    } catch (const Error& error) {
        const char* state = opening.encrypts() ? "on, and nothing is stored: " : "";
        return {kName, CheckLevel::error, state + in_words(error), hint_of(error)};
    }
}

}  // namespace ark
