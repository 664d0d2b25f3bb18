#pragma once
/// Questions to the repository, through a short-lived child (`pg_ark server-catalog`).
#include "server/child.hpp"
#include "server/protocol.hpp"

extern "C" {
#include "nodes/pg_list.h"
}

namespace ark {

inline constexpr int64 kCatalogTimeoutMs = INT64CONST(60) * 1000;

struct CatalogClient;

/// One thing that `check` found out about the store.
struct RepositoryFinding {
    char* name;
    bool ok;  ///< nothing has to be done
    char* detail;
    char* hint;
};

/// What `check` says of the repository. free_bytes is -1 where the store has no such thing.
struct RepositoryCheck {
    bool writable;
    bool create_if_absent;
    int64 free_bytes;
    char* detail;
    List* findings;  ///< of RepositoryFinding*; an older executable tells none
};

/// Starts the child and opens the repository (a place without one stays as it is, and is an error);
/// each request and the opening have `timeout_ms`. Throws what the child says. On an error in any
/// of these functions the client is still to be closed.
CatalogClient* catalog_open(ChildWait wait, int64 timeout_ms);
/// Starts the child and says hello only: for checks that go on where the repository is out of
/// reach.
CatalogClient* catalog_start(ChildWait wait, int64 timeout_ms);
/// `create`: makes the repository where its place is empty. `without_key`: opens it also where the
/// encryption key can't be had; then catalog_check is all that may be asked.
void catalog_open_repository(CatalogClient* client, bool create, bool without_key);
void catalog_close(CatalogClient* client);

/// For questions of the caller's own.
Child* catalog_child(CatalogClient* client);

const char* catalog_program_version(const CatalogClient* client);
const char* catalog_repository_id(const CatalogClient* client);

/// The marker's JSON, or NULL: there is no such backup.
char* catalog_find(CatalogClient* client, const char* backup_id);
/// Removes what a backup without marker left. "" or why something was kept.
char* catalog_cleanup(CatalogClient* client, const char* backup_id);
/// Removes what no server remembers having begun; the number of objects. `kept`: "" or why others
/// stay.
uint64 catalog_tidy(CatalogClient* client, char** kept);
/// JSON of every backup's marker, as a List of char*.
List* catalog_list(CatalogClient* client);
/// Ids of the tests and verifications of a backup whose evidence is in the repository, as a List of
/// char*.
List* catalog_tests(CatalogClient* client, const char* backup_id);
/// JSON of one, or NULL: it is not there.
char* catalog_evidence(CatalogClient* client, const char* backup_id, const char* test_id);
RepositoryCheck catalog_check(CatalogClient* client);

}  // namespace ark
