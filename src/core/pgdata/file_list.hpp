#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace ark {

/// What a base backup copies of a data directory, by PostgreSQL's own rules
/// (src/backend/backup/basebackup.c: excludeDirContents, excludeFiles, sendDir). Names are kept in
/// one buffer, so that 300,000 files take about 10 MB.
class FileList {
 public:
    struct Directory {
        std::string path;  ///< relative to the data directory, "" for itself
        uint32_t mode = 0700;
    };
    struct TablespaceLink {
        uint32_t oid = 0;
        std::string location;  ///< the link's content
    };

    /// Lists the directory and its tablespaces. `special` is told of each thing that is neither
    /// file nor directory and is left out. A file that vanishes meanwhile is left out. Error:
    /// io_error, permission_denied.
    static FileList read(const std::string& data_directory,
                         const std::function<void(const std::string&)>& special);

    size_t size() const { return entries_.size(); }
    std::string path(size_t i) const;
    uint64_t bytes(size_t i) const { return entries_[i].bytes; }
    uint64_t total_bytes() const { return total_bytes_; }
    const std::vector<Directory>& directories() const { return directories_; }
    const std::vector<TablespaceLink>& tablespaces() const { return tablespaces_; }

 private:
    friend class FileLister;
    struct Entry {
        uint32_t directory = 0;
        uint32_t name_length = 0;
        uint64_t name_offset = 0;
        uint64_t bytes = 0;
    };
    void sort();
    void sort_directories();

    std::vector<Directory> directories_;  // in path order
    std::vector<TablespaceLink> tablespaces_;
    std::vector<Entry> entries_;  // in bytewise path order
    std::string names_;
    uint64_t total_bytes_ = 0;
};

}  // namespace ark
