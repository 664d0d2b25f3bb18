#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/repo/chain.hpp"
#include "core/restore/plan.hpp"

namespace ark {

constexpr const char* kControlPath = "global/pg_control";
constexpr const char* kLabelPath = "backup_label";
/// Where pg_control waits until everything else is in place.
constexpr const char* kWaitingControlPath = "global/pg_ark.pg_control";

/// Where each path of the index goes on this disk.
class Layout {
 public:
    Layout(std::string data_directory, const std::vector<TablespaceTarget>& tablespaces);

    const std::string& data_directory() const { return data_directory_; }
    /// The data directory and the tablespace locations.
    const std::vector<std::string>& roots() const { return roots_; }

    /// The absolute path of an index path ("" is the data directory). Error: corrupt for one that
    /// is absolute, has an empty part, "." or "..".
    std::string path_of(const std::string& index_path) const;
    /// The root that it lies in.
    const std::string& root_of(const std::string& index_path) const;

 private:
    struct Split {
        const std::string* root;
        std::string_view rest;  // empty or beginning with a slash
    };
    Split split(const std::string& index_path) const;

    std::string data_directory_;
    std::vector<std::string> roots_;
    std::map<std::string, std::string, std::less<>> locations_;  ///< "pg_tblspc/16384" → location
};

/// What an index says, added up in one pass over it.
struct IndexSurvey {
    uint64_t files = 0;
    uint64_t bytes = 0;
    std::map<std::string, uint64_t> bytes_by_root;
    uint64_t stored_bytes = 0;  ///< of the frames that a restore needs
    /// Files with blocks of backups that name corrupt pages in them; none where each backup copies
    /// such files whole.
    std::vector<std::string> damaged_in_parents;
};

/// Reads all indexes of the chain before anything is touched, and plans each file. Error: corrupt
/// when one is damaged, or lacks what the others or no backup can do without (PG_VERSION,
/// global/pg_control, backup_label).
IndexSurvey survey_index(Repository& repository, const BackupChain& chain, const Layout& layout);

}  // namespace ark
