#pragma once
#include "server/protocol.hpp"

extern "C" {
#include "nodes/pg_list.h"
}

namespace ark {

/// A damaged page that the child found.
struct CorruptPage {
    char* path;
    uint64 block;
    Oid tablespace, database, filenode;
    char* fork;
    char* reason;
    char* relation;  ///< schema-qualified, NULL as long as it is not known
    char* database_name;
};

/// Takes a `corrupt` message apart, in the current memory context.
CorruptPage* read_corrupt_page(const Message& message);
/// Finds the names, also in other databases (a short worker is started in each). What cannot be
/// found stays NULL. Not inside a transaction; throws only on cancel.
void name_relations(List* pages);
/// A JSON array; palloc'd.
char* corrupt_pages_json(List* pages);
/// A WARNING in the server's log that names the first pages.
void warn_about_corruption(const char* backup_id, List* pages, uint64 count);

}  // namespace ark

extern "C" ARK_EXPORT void pg_ark_names_main(Datum);
