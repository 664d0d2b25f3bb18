#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/pgdata/relation_name.hpp"
#include "core/pgdata/wal_name.hpp"
#include "core/repo/object_reader.hpp"
#include "core/repo/repository.hpp"

namespace ark {

// What the databases answered while a backup was taken: backup/<id>/answers.zst
// (docs/repository-format.md, "Answers"). Each answer says what was asked, of which files it is,
// and since which place in WAL these must not have changed for it still to be the answer.

/// The lines behind it, up to the next one, are of this database.
struct AnsweringDatabase {
    std::string name;
    uint32_t oid = 0;
    /// Set in the session that asked.
    std::vector<std::pair<std::string, std::string>> settings;
    /// Tells of each table how it is asked; empty: no table was.
    std::string tables_query;
};

/// A catalog; the objects in it follow.
struct CatalogAnswer {
    std::string name;
    RelationId file;
    Lsn lsn = 0;
    std::string query;
};

/// One row of a catalog, or all rows without a line of their own in one block of it.
struct ObjectAnswer {
    std::string key;
    uint64_t block = 0;
    uint64_t count = 0;
    std::string sum;     ///< of the rows' hashes
    bool doubt = false;  ///< somebody was about to change it
    std::string name;    ///< for people; may be empty

    bool operator==(const ObjectAnswer&) const = default;
};

struct TableAnswer {
    uint32_t oid = 0;
    std::string name;
    std::vector<RelationId> files;  ///< its own, and that of its long values
    Lsn lsn = 0;
    std::string shape;  ///< digest of what its text depends on: names, columns, types
    uint64_t rows = 0;
    std::optional<std::string> sum;  ///< of the rows' hashes; none: no column can be told by text
};

/// A value that the users want recorded.
struct ValueAnswer {
    std::string name;
    std::string query;
    uint64_t timeout_ms = 0;
    Lsn lsn = 0;
    std::vector<RelationId> files;                         ///< of all that it was made of
    std::vector<std::pair<uint32_t, std::string>> shapes;  ///< of the tables among them
    std::vector<std::string> rows;                         ///< JSON
};

struct LeftOut {
    std::string why;
    uint64_t count = 0;
};

using Answer =
    std::variant<AnsweringDatabase, CatalogAnswer, ObjectAnswer, TableAnswer, ValueAnswer, LeftOut>;

/// The line with its newline, as it is to be stored; nullopt where it is no answer.
std::optional<std::string> checked_answer_line(const std::string& line);

class AnswersReader {
 public:
    /// Error: not_found, corrupt.
    AnswersReader(Repository& repository, const std::string& cluster, const std::string& backup_id,
                  std::string expected_sha256);
    /// nullopt after the last. Error: corrupt.
    std::optional<Answer> next();

 private:
    ObjectReader object_;
    LineReader lines_;
    std::string expected_;
};

}  // namespace ark
