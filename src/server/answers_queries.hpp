#pragma once
/// What databases are asked. A drill asks the same: each text is part of the answer. All of them
/// want search_path pg_catalog, and name no object but by schema.
#include "server/pg_version.hpp"

namespace ark {

/// The settings on which the text of values depends, and some that make reading cheap: name, value.
struct AnswersSetting {
    const char* name;
    const char* value;
};
extern const AnswersSetting kAnswersSettings[];
extern const int kAnswersSettingCount;

/// Rows: oid, name, tablespace and file number, those of its TOAST table (NULL: none), the query
/// that counts its rows and sums their hashes, and a digest of all that this text depends on: two
/// equal ones mean that equal rows give equal hashes. Smallest first.
extern const char kTablesQuery[];

/// Rows: name, tablespace and file number of each catalog; the query that tells of it, before and
/// behind the word (true, false) that says whether rows which are the users' have a line each, and
/// not one with all others of their block; a query for how many there would be (NULL: few). The
/// rows of the query for a catalog: key, block, count and sum of hashes, whether somebody has begun
/// to change it, whether it is as new as transaction $2 or newer, name. $1: shared catalogs too.
extern const char kCatalogsQuery[];

/// A row where a transaction may have changed table $1, and has not ended.
extern const char kWritersQuery[];

}  // namespace ark
