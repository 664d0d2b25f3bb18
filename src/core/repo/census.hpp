#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "core/repo/object_reader.hpp"
#include "core/repo/object_writer.hpp"
#include "core/repo/repository.hpp"

namespace ark {

/// A table as the server saw it at one moment: persistent tables and materialised views with
/// storage of their own.
struct TableState {
    std::string database;
    std::string schema;
    std::string name;
    uint32_t database_oid = 0;
    uint32_t oid = 0;
    uint32_t filenode = 0;
    uint64_t bytes = 0;            ///< of the main fork on disk
    std::optional<uint64_t> rows;  ///< live rows as the server estimates them (pg_stat), if it does
    uint64_t changes = 0;  ///< rows inserted, updated and deleted since the statistics' reset
    bool missing = false;  ///< a relation of any kind whose file is not there: only `path` counts
    std::string path;      ///< relative to the data directory, where it is missing
};

/// A line of a backup's census: the state right after the backup's stop.
struct CensusEntry {
    TableState table;
    /// File, size and counters were the same before the first file was copied: then nothing has
    /// changed the table in the backup's time, and the restored one must have exactly this size.
    bool unchanged = false;
};

/// Writes backup/<id>/census.zst. The states of the start are kept in memory, 40 bytes a table.
class CensusWriter {
 public:
    void at_start(const TableState& table);
    /// The first call begins the object in `out`.
    void at_stop(ObjectWriter& out, const TableState& table);

 private:
    struct Seen {
        uint32_t filenode;
        uint64_t bytes;
        uint64_t changes;
    };
    std::unordered_map<uint64_t, Seen> seen_;
};

/// Reads it, one table at a time, in no particular order but database by database.
class CensusReader {
 public:
    /// Error: not_found, corrupt.
    CensusReader(Repository& repository, const std::string& cluster, const std::string& backup_id,
                 std::string expected_sha256);
    /// nullopt after the last. Error: corrupt.
    std::optional<CensusEntry> next();

 private:
    ObjectReader object_;
    LineReader lines_;
    std::string expected_;
};

}  // namespace ark
