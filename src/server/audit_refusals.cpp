// Who lacks EXECUTE, or USAGE on the schema, is refused by PostgreSQL itself. The one thing that
// sees this at no cost to anybody else is the hook of the server's log: an error that ends its
// statement. One that PL/pgSQL catches is not seen.
#include "server/audit_refusals.hpp"

#include "server/audit_call.hpp"
#include "server/audit_spool.hpp"

extern "C" {
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
}

namespace ark {
namespace {

emit_log_hook_type previous_hook = nullptr;

// docs/sql-api.md "ark.audit_log" names them.
const char* const kActs[] = {
    "create_manual_backup", "start_backup", "backup",
    "cancel_backup",        "adopt",        "test_backup_restoration",
    "start_restore_test",   "restore_test", "cancel_restore_test",
    "verify_backup",
};
const char* const kTables[] = {"audit_log", "backup_log", "backup_tests", "backup_verification"};

bool is_word_character(char c) {
    return isalnum(static_cast<unsigned char>(c)) || c == '_';
}

// Where a word is in a text; NULL: nowhere.
const char* find_word(const char* text, const char* word) {
    const size_t length = strlen(word);
    for (const char* at = strstr(text, word); at != nullptr; at = strstr(at + 1, word)) {
        if ((at == text || !is_word_character(at[-1])) && !is_word_character(at[length]))
            return at;
    }
    return nullptr;
}

template <size_t Count>
const char* first_word(const char* text, const char* const (&words)[Count]) {
    for (const char* word : words) {
        if (find_word(text, word) != nullptr)
            return word;
    }
    return nullptr;
}

// The text of a statement is looked at only for what the error does not say: which function of the
// schema was wanted.
const char* act_of_statement() {
    const char* schema =
        debug_query_string != nullptr ? find_word(debug_query_string, "ark") : nullptr;
    const char* act = schema != nullptr ? first_word(schema, kActs) : nullptr;
    return act != nullptr ? act : "access";
}

// The untranslated form of a message says what it is, the translated one has the name in it.
bool is_message(const ErrorData& error, const char* id) {
    return strcmp(error.message_id, id) == 0;
}

void record(const char* act, const char* target, const char* kind, const char* name) {
    AuditActor actor;
    fill_actor(&actor, false);
    char message[128];
    snprintf(message, sizeof(message), "permission denied for %s %s", kind, name);
    const AuditEntry entry = {act,     "refused",  target,
                              nullptr, &actor,     ERRCODE_INSUFFICIENT_PRIVILEGE,
                              message, GetUserId()};
    spool_audit(entry);
}

void look_at(const ErrorData& error) {
    if (is_message(error, "permission denied for schema %s")) {
        if (find_word(error.message, "ark") != nullptr)
            record(act_of_statement(), nullptr, "schema", "ark");
    } else if (is_message(error, "permission denied for function %s")) {
        if (const char* act = first_word(error.message, kActs))
            record(act, nullptr, "function", act);
    } else if (is_message(error, "permission denied for procedure %s")) {
        if (const char* act = first_word(error.message, kActs))
            record(act, nullptr, "procedure", act);
    } else if (is_message(error, "permission denied for table %s")) {
        if (const char* table = first_word(error.message, kTables))
            record("access", table, "table", table);
    }
}

void on_log(ErrorData* error) {
    static bool inside = false;
    if (previous_hook != nullptr)
        previous_hook(error);
    if (error->sqlerrcode != ERRCODE_INSUFFICIENT_PRIVILEGE || error->elevel != ERROR || inside ||
        error->message == nullptr || error->message_id == nullptr || MyProc == nullptr ||
        !OidIsValid(MyDatabaseId) || !IsUnderPostmaster || proc_exit_inprogress)
        return;
    inside = true;
    look_at(*error);
    inside = false;
}

}  // namespace

void watch_refusals() {
    previous_hook = emit_log_hook;
    emit_log_hook = on_log;
}

}  // namespace ark
