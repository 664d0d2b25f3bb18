#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/drill/session.hpp"

namespace ark {

/// A database of the scratch server.
struct DatabaseInfo {
    uint32_t oid = 0;
    std::string name;
    bool half_dropped = false;       ///< datconnlimit is -2: DROP DATABASE was interrupted
    bool collation_differs = false;  ///< its default collation has another version on this host
};

enum class AccessMethod : uint8_t { none, heap, btree, hash, gin, gist, spgist, brin, other };

/// A relation with storage, as its catalog tells; temporary ones are left out. Small: a database
/// has hundreds of thousands.
struct RelationInfo {
    uint32_t oid = 0;
    uint32_t table = 0;  ///< of an index or TOAST table: what it belongs to
    std::string name;    ///< schema.name, quoted where SQL needs it
    std::string path;    ///< relative to the data directory; empty: the catalog has none
    char kind = 'r';     ///< pg_class.relkind: r m t S i
    AccessMethod method = AccessMethod::none;
    bool shared = false;     ///< the same one in every database
    bool of_system = false;  ///< in pg_catalog, information_schema or a TOAST table of theirs
    bool checkable =
        true;  ///< an index that is valid, ready and live; a table or view with content
    bool unlogged = false;
    bool full = true;                ///< of an index: neither partial nor on expressions
    bool changed_collation = false;  ///< of an index: one of its collations is among those given
};

/// A table that did not change while the backup was taken: the restored one has just this size.
struct ExpectedTable {
    uint32_t database = 0;
    uint32_t oid = 0;
    uint64_t bytes = 0;  ///< of the main fork
    std::string name;    ///< with its schema's
};

/// What the backup's census knows.
struct Expected {
    std::vector<ExpectedTable> tables;
    std::set<uint32_t> databases;  ///< of which it knows anything
};

/// Queries, and what their rows mean. The first throws nothing; the rows come from the query beside
/// it.
const char* databases_query();
std::vector<DatabaseInfo> databases_of(const SqlResult& result);
/// `version_directory` is the one below each tablespace. Without the indexes of the catalog, which
/// may be damaged.
std::string relations_query(const std::string& version_directory);
RelationInfo relation_of(const SqlRow& row, const std::set<uint32_t>& changed_collations);
/// Oids of collations that have another version on this host than when their indexes were made.
const char* changed_collations_query();

/// Makes the rest of a transaction plan without indexes: what is in the tables counts.
const char* without_indexes();

/// One query for each reference between catalogs (pg_get_catalog_foreign_keys): it gives a row, the
/// count and one place, where rows refer to something that is not there.
struct CatalogCheck {
    std::string what;  ///< "pg_attribute (attrelid)"
    std::string sql;
};
const char* references_query();
std::vector<CatalogCheck> reference_checks_of(const SqlResult& result);
/// Other things that have to agree within a catalog.
std::vector<CatalogCheck> agreement_checks();

uint32_t oid_in(const std::optional<std::string>& text);

}  // namespace ark
