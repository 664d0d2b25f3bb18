#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/drill/session.hpp"

namespace ark {

// What the copy's own rules are, and the questions whether its rows keep them. The catalog makes
// the SQL; names in it are complete, so that no search_path decides. Rows of a "list" query come
// from the superuser's session, the questions go to a reader's or, where
// they run the table owner's code, to his.

/// One rule that rows have to keep.
struct Rule {
    std::string relation;  ///< schema.name, quoted where SQL needs it
    std::string what;      ///< "foreign key \"orders_customer_fkey\"", for people
    /// Of a rule about single rows: an expression that is true where the row breaks it. Of others:
    /// a query for one row (how many break it, where one is, more about it), none where none does;
    /// empty where a user's cast would be run for it.
    std::string sql;
    uint64_t bytes = 0;                ///< of the relation, as far as the catalog knows
    bool is_note = false;              ///< what breaks it may be as it was meant
    std::vector<uint32_t> not_null{};  ///< the columns of a NOT NULL
    std::string file{};                ///< of those columns' table, relative to the data directory
};

/// Rows: as Rule's members. Every foreign key that is not another one's part, NOT VALID ones too;
/// not those that are not enforced or of periods.
const char* foreign_keys_query();
/// The same, of rules about single rows, ordered by relation: NOT NULL, CHECK, the bounds of
/// partitions.
const char* row_rules_query();
/// Unique keys of tables up to `most_bytes`, each a sort of the whole table: rows that an index
/// should have refused.
std::string unique_keys_query(uint64_t most_bytes);
/// How many larger ones there are.
std::string large_unique_keys_query(uint64_t most_bytes);
/// Sequences of columns (identity, OWNED BY, or named by a default) that would give a value again
/// that the column has.
const char* sequences_query();

/// Relations, as Rule has them, and their owners.
const char* owners_query();

Rule rule_of(const SqlRow& row);

/// One question for the rules of one relation, all in one pass over it: a row for each that is
/// broken (its number from 0 on, how often, where one is).
std::string row_rules_question(const std::vector<Rule>& rules);

/// "(7,3)" gives 7; also behind "schema.table ".
std::optional<uint64_t> block_of_place(const std::string& place);

}  // namespace ark
