#pragma once

#include <cstdint>
#include <string>

#include "core/drill/inventory.hpp"

namespace ark {

/// The questions about one relation. `schema` is the one of our own that holds amcheck's
/// functions.

/// Up to kMostFindingsOfHeap + 1 rows: block, offset, column, message. Runs no code of the backup.
constexpr int kMostFindingsOfHeap = 100;
std::string heap_query(const std::string& schema, const RelationInfo& relation,
                       uint64_t first_block, bool toast);
/// Fails where the index is damaged. `with_rows`: each of the table's rows is looked for in it, for
/// which the index's expressions and predicate are computed: code of the backup.
std::string index_query(const std::string& schema, const RelationInfo& relation, uint32_t major,
                        bool with_rows);
/// Its number of rows, by the table where `by_table`, and by an index where `by_index`. Plans, and
/// so may compute constant parts of its indexes' expressions: code of the backup.
std::string rows_query(const RelationInfo& relation, bool by_table, bool by_index);
/// Fails where the sequence cannot be read.
std::string sequence_query(const RelationInfo& relation);

}  // namespace ark
