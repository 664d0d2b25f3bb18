#include "server/corrupt_pages.hpp"

extern "C" {
#include "utils/json.h"
}

namespace ark {
namespace {

// The log names this many pages; the row has all that were sent.
constexpr int kLogged = 10;

void put_json(StringInfo out, const char* key, const char* value) {
    if (value == nullptr)
        return;
    appendStringInfo(out, ", \"%s\": ", key);
    escape_json(out, value);
}

}  // namespace

CorruptPage* read_corrupt_page(const Message& message) {
    auto* page = static_cast<CorruptPage*>(palloc0(sizeof(CorruptPage)));
    page->path = get_text(message, "path");
    page->block = get_number(message, "block");
    page->tablespace = static_cast<Oid>(get_number(message, "tablespace"));
    page->database = static_cast<Oid>(get_number(message, "database"));
    page->filenode = static_cast<Oid>(get_number(message, "filenode"));
    const char* fork = get_token(message, "fork");
    page->fork = fork != nullptr ? pstrdup(fork) : nullptr;
    page->reason = get_text(message, "reason");
    return page;
}

char* corrupt_pages_json(List* pages) {
    StringInfoData out;
    initStringInfo(&out);
    appendStringInfoChar(&out, '[');
    ListCell* cell;
    foreach (cell, pages) {
        const auto* page = static_cast<const CorruptPage*>(lfirst(cell));
        if (out.len > 1)
            appendStringInfoString(&out, ", ");
        appendStringInfo(&out, "{\"block\": " UINT64_FORMAT, page->block);
        put_json(&out, "relation", page->relation);
        put_json(&out, "database", page->database_name);
        put_json(&out, "fork", page->fork);
        put_json(&out, "path", page->path);
        put_json(&out, "reason", page->reason);
        appendStringInfo(&out, ", \"tablespace_oid\": %u, \"database_oid\": %u, \"filenode\": %u}",
                         page->tablespace, page->database, page->filenode);
    }
    appendStringInfoChar(&out, ']');
    return out.data;
}

void warn_about_corruption(const char* backup_id, List* pages, uint64 count) {
    StringInfoData list;
    initStringInfo(&list);
    ListCell* cell;
    foreach (cell, pages) {
        const auto* page = static_cast<const CorruptPage*>(lfirst(cell));
        if (foreach_current_index(cell) >= kLogged)
            break;
        appendStringInfo(&list, "%sblock " UINT64_FORMAT " of %s (%s)", list.len > 0 ? ", " : "",
                         page->block, page->relation != nullptr ? page->relation : "a relation",
                         page->path != nullptr ? page->path : "unknown file");
    }
    ereport(WARNING,
            (errcode(ERRCODE_DATA_CORRUPTED),
             errmsg("backup \"%s\" found " UINT64_FORMAT " damaged pages", backup_id, count),
             errdetail_internal("%s.", list.data),
             errhint("The backup holds them as they are. See ark.backup_log.corrupt_pages; restore "
                     "the relations from a backup taken before the damage.")));
}

}  // namespace ark
