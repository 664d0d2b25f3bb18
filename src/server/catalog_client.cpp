#include "server/catalog_client.hpp"

#include "server/conversation.hpp"
#include "server/settings.hpp"

namespace ark {

struct CatalogClient {
    Child* child;
    int64 timeout_ms;
    char* program_version;
    char* repository_id;
};

namespace {

// A catalog child has nothing to clean up.
constexpr int kPoliteMs = 1000;
constexpr int kGraceMs = 2000;
// For one step of the check: some megabytes over a slow line.
constexpr int64 kCheckMs = INT64CONST(60) * 1000;

void ask(CatalogClient* client, const char* verb, const char* id) {
    StringInfoData out;
    initStringInfo(&out);
    message_begin(&out, verb);
    message_token(&out, "id", id);
    message_end(&out);
    child_send(client->child, out);
}

Message answer(CatalogClient* client) {
    return receive(client->child, deadline_in_ms(client->timeout_ms));
}

[[noreturn]] void unexpected(const Message& message) {
    ereport(ERROR, (errcode(ERRCODE_PROTOCOL_VIOLATION),
                    errmsg("pg_ark sent an unexpected \"%.40s\"", message.verb)));
    pg_unreachable();
}

char* text_or_empty(const Message& message, const char* key) {
    char* text = get_text(message, key);
    return text != nullptr ? text : pstrdup("");
}

RepositoryFinding* read_finding(const Message& message) {
    auto* finding = static_cast<RepositoryFinding*>(palloc0(sizeof(RepositoryFinding)));
    const char* level = get_token(message, "level");
    const char* name = get_token(message, "name");
    finding->name = pstrdup(name != nullptr ? name : "repository");
    finding->ok = level != nullptr && (strcmp(level, "good") == 0 || strcmp(level, "note") == 0);
    finding->detail = text_or_empty(message, "detail");
    finding->hint = text_or_empty(message, "hint");
    return finding;
}

}  // namespace

CatalogClient* catalog_start(ChildWait wait, int64 timeout_ms) {
    auto* client = static_cast<CatalogClient*>(palloc0(sizeof(CatalogClient)));
    client->timeout_ms = timeout_ms;
    client->repository_id = pstrdup("");
    client->child = child_start(program_path(), "server-catalog", wait);
    PG_TRY();
    { client->program_version = greet(client->child, deadline_in_ms(timeout_ms)); }
    PG_CATCH();
    {
        catalog_close(client);
        PG_RE_THROW();
    }
    PG_END_TRY();
    return client;
}

void catalog_open_repository(CatalogClient* client, bool create, bool without_key) {
    // Somebody waits for the answer.
    constexpr int kRetrySeconds = 10;
    const OpenOptions options = {create, 0, 0, kRetrySeconds, without_key};
    client->repository_id =
        open_after_greeting(client->child, options, deadline_in_ms(client->timeout_ms));
}

CatalogClient* catalog_open(ChildWait wait, int64 timeout_ms) {
    CatalogClient* client = catalog_start(wait, timeout_ms);
    PG_TRY();
    { catalog_open_repository(client, false, false); }
    PG_CATCH();
    {
        catalog_close(client);
        PG_RE_THROW();
    }
    PG_END_TRY();
    return client;
}

void catalog_close(CatalogClient* client) {
    if (client->child != nullptr)
        (void)child_stop(client->child, kPoliteMs, kGraceMs);
    client->child = nullptr;
}

Child* catalog_child(CatalogClient* client) {
    return client->child;
}

const char* catalog_program_version(const CatalogClient* client) {
    return client->program_version;
}

const char* catalog_repository_id(const CatalogClient* client) {
    return client->repository_id;
}

char* catalog_find(CatalogClient* client, const char* backup_id) {
    ask(client, "find", backup_id);
    const Message message = answer(client);
    if (message_is(message, "backup"))
        return get_text(message, "json");
    if (!message_is(message, "end"))
        unexpected(message);
    return nullptr;
}

char* catalog_cleanup(CatalogClient* client, const char* backup_id) {
    ask(client, "cleanup", backup_id);
    const Message message = answer(client);
    if (!message_is(message, "cleaned"))
        unexpected(message);
    return text_or_empty(message, "kept");
}

uint64 catalog_tidy(CatalogClient* client, char** kept) {
    ask(client, "tidy", nullptr);
    const Message message = answer(client);
    if (!message_is(message, "cleaned"))
        unexpected(message);
    *kept = text_or_empty(message, "kept");
    return get_number(message, "objects");
}

List* catalog_list(CatalogClient* client) {
    List* found = NIL;
    ask(client, "list", nullptr);
    for (;;) {
        const Message message = answer(client);
        if (message_is(message, "end"))
            return found;
        if (!message_is(message, "backup"))
            unexpected(message);
        if (char* json = get_text(message, "json"))
            found = lappend(found, json);
    }
}

List* catalog_tests(CatalogClient* client, const char* backup_id) {
    List* found = NIL;
    ask(client, "tests", backup_id);
    for (;;) {
        const Message message = answer(client);
        if (message_is(message, "end"))
            return found;
        if (!message_is(message, "test"))
            unexpected(message);
        if (const char* id = get_token(message, "test"))
            found = lappend(found, pstrdup(id));
    }
}

char* catalog_evidence(CatalogClient* client, const char* backup_id, const char* test_id) {
    StringInfoData out;
    initStringInfo(&out);
    message_begin(&out, "evidence");
    message_token(&out, "id", backup_id);
    message_token(&out, "test", test_id);
    message_end(&out);
    child_send(client->child, out);
    const Message message = answer(client);
    if (message_is(message, "evidence"))
        return get_text(message, "json");
    if (!message_is(message, "end"))
        unexpected(message);
    return nullptr;
}

RepositoryCheck catalog_check(CatalogClient* client) {
    RepositoryCheck check = {};
    StringInfoData out;
    initStringInfo(&out);
    message_begin(&out, "check");
    message_number(&out, "findings", 1);
    message_end(&out);
    child_send(client->child, out);
    for (;;) {
        const Message message = receive(client->child, deadline_in_ms(kCheckMs));
        if (message_is(message, "finding")) {
            check.findings = lappend(check.findings, read_finding(message));
            continue;
        }
        if (!message_is(message, "checked"))
            unexpected(message);
        check.writable = get_number(message, "writable") != 0;
        check.create_if_absent = get_number(message, "create_if_absent") != 0;
        check.free_bytes = has_key(message, "free_bytes")
                               ? static_cast<int64>(get_number(message, "free_bytes"))
                               : -1;
        check.detail = text_or_empty(message, "detail");
        return check;
    }
}

}  // namespace ark
