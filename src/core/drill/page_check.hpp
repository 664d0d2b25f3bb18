#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/drill/watch.hpp"
#include "core/pgdata/commit_log.hpp"
#include "core/pgdata/heap_page.hpp"
#include "core/pgdata/page.hpp"
#include "core/pgdata/relation_name.hpp"
#include "core/repo/evidence.hpp"

namespace ark {

/// A file of a relation in a data directory.
struct RelationFile {
    std::string path;  ///< relative to the data directory
    RelationPath place;
    uint64_t bytes = 0;
};

/// Every relation's files (temporary ones left out), ordered by relation, fork and segment. Links
/// are followed in pg_tblspc alone.
std::vector<RelationFile> list_relation_files(const std::string& data_directory, Watch& watch);

/// Something wrong with a relation's file. Its relation gets a name where a server can be asked.
struct FileDamage {
    std::string path;
    RelationPath place;
    std::optional<uint64_t> block;  ///< in the fork
    std::string check;              ///< as in Finding
    std::string message;
    bool of_table = false;  ///< so only where the file is one of a table
};

/// Segment files that are missing before others or are too short, and sizes that are no multiple of
/// a page. `files` in the order of list_relation_files. Pure.
std::vector<FileDamage> find_holes(const std::vector<RelationFile>& files,
                                   uint32_t blocks_per_segment);

/// What the pages of a table tell of its rows.
struct RowsSeen {
    ColumnNulls nulls;
    /// As a sequential scan counts them: all of pages that are marked so. nullopt: there are rows
    /// on other pages, of which each has to be asked whether it is visible.
    std::optional<uint64_t> visible = 0;

    void add(const RowsSeen& other);
    void add_page(ByteView page);
    void add_unreadable();
};

struct PageCheck {
    uint64_t checked = 0;
    uint64_t corrupt = 0;
    std::vector<FileDamage> damage;  ///< the first 1000, in order
    /// Pages of what may be tables whose rows say other things of their transactions than the
    /// commit log does, or that the visibility map takes for others than they are. The first 1000
    /// too.
    std::vector<FileDamage> conflicts;
    /// Of what may be users' tables.
    std::map<RelationId, RowsSeen> rows;
};

struct PageCheckPlan {
    std::string data_directory;
    uint32_t blocks_per_segment = 0;
    bool checksums = false;  ///< pages have them
    int jobs = 1;
};

/// Verifies every page with `jobs` threads: its checksum, what its rows say against the commit log,
/// and what the visibility map says of it. The server is stopped. Error: system_error's, and what
/// `watch` throws.
PageCheck check_pages(const PageCheckPlan& plan, const CommitLog& log,
                      const std::vector<RelationFile>& files, Watch& watch);

}  // namespace ark
