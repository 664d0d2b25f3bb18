#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/drill/watch.hpp"
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
};

/// Segment files that are missing before others or are too short, and sizes that are no multiple of
/// a page. `files` in the order of list_relation_files. Pure.
std::vector<FileDamage> find_holes(const std::vector<RelationFile>& files,
                                   uint32_t blocks_per_segment);

struct PageCheck {
    uint64_t checked = 0;
    uint64_t corrupt = 0;
    std::vector<FileDamage> damage;  ///< the first 1000, in order
};

/// Verifies the checksum of every page with `jobs` threads. The server is stopped. Error:
/// system_error's, and what `watch` throws.
PageCheck check_pages(const std::string& data_directory, const std::vector<RelationFile>& files,
                      uint32_t blocks_per_segment, int jobs, Watch& watch);

}  // namespace ark
