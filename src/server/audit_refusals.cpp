// Who lacks EXECUTE, or USAGE on the schema, is refused by PostgreSQL itself, and no hook tells of
// it. But every error, also one that PL/pgSQL catches, asks the functions on error_context_stack
// for what they know of it before it goes anywhere: one of ours stands below all others, and looks.
// The server takes all of them away when an error has ended a statement; so it is put back at the
// end of each transaction, at each error that is logged and before each statement. The hook of the
// log looks, too, at an error that came while it was not there.
#include "server/audit_refusals.hpp"

#include "server/audit_call.hpp"
#include "server/audit_spool.hpp"

extern "C" {
#include "access/xact.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
}

namespace ark {
namespace {

emit_log_hook_type previous_hook = nullptr;

// docs/sql-api.md "ark.audit_log" names them.
const char* const kActs[] = {
    "create_manual_backup", "start_backup", "backup",
    "cancel_backup",        "adopt",        "test_backup_restoration",
    "start_restore_test",   "restore_test", "cancel_restore_test",
    "verify_backup",        "start_drill",  "drill",
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

bool looking = false;
// Whether an error that the log is about to tell was looked at when it was thrown.
bool looked = false;

bool can_look() {
    return !looking && MyProc != nullptr && OidIsValid(MyDatabaseId) && IsUnderPostmaster &&
           CritSectionCount == 0 && !proc_exit_inprogress;
}

bool is_refusal(const ErrorData& error) {
    return error.elevel == ERROR && error.sqlerrcode == ERRCODE_INSUFFICIENT_PRIVILEGE &&
           error.message != nullptr && error.message_id != nullptr;
}

void look(const ErrorData& error) {
    looking = true;
    look_at(error);
    looking = false;
}

// Inside ereport, whose own memory is not for this.
void on_error(void*) {
    static MemoryContext context = nullptr;
    if (geterrcode() != ERRCODE_INSUFFICIENT_PRIVILEGE || !can_look())
        return;
    if (context == nullptr)
        context = AllocSetContextCreate(TopMemoryContext, "pg_ark refusals", ALLOCSET_SMALL_SIZES);
    MemoryContext old = MemoryContextSwitchTo(context);
    const ErrorData* error = CopyErrorData();
    if (is_refusal(*error))
        look(*error);
    looked = true;
    MemoryContextSwitchTo(old);
    MemoryContextReset(context);
}

ErrorContextCallback lowest = {nullptr, on_error, nullptr};

void stand_below() {
    if (error_context_stack == nullptr)
        error_context_stack = &lowest;
}

void on_transaction(XactEvent, void*) {
    stand_below();
}

void on_log(ErrorData* error) {
    if (previous_hook != nullptr)
        previous_hook(error);
    if (!looked && is_refusal(*error) && can_look())
        look(*error);
    looked = false;
    stand_below();
}

// The type of the hook is not the same in all versions.
template <typename Hook>
struct BeforeStatements;
template <typename... Arguments>
struct BeforeStatements<void (*)(Arguments...)> {
    static inline void (*previous)(Arguments...) = nullptr;
    static void run(Arguments... arguments) {
        stand_below();
        if (previous != nullptr)
            previous(arguments...);
    }
};
using Before = BeforeStatements<post_parse_analyze_hook_type>;

}  // namespace

// Whatever is set here every process inherits from the postmaster.
void watch_refusals() {
    previous_hook = emit_log_hook;
    emit_log_hook = on_log;
    Before::previous = post_parse_analyze_hook;
    post_parse_analyze_hook = Before::run;
    RegisterXactCallback(on_transaction, nullptr);
}

}  // namespace ark
