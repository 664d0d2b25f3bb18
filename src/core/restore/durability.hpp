#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "core/base/file.hpp"

namespace ark {

/// Makes a restored tree durable. An fsync for each of 100,000 files takes minutes, so where it is
/// known to report what went wrong one syncfs for each file system does it: since Linux 5.8 a
/// descriptor opened before the writes is told of every writeback error after it. Elsewhere each
/// file is fsynced as it is written.
class Durability {
 public:
    /// Opens the roots, which exist and into which nothing has been written yet.
    explicit Durability(std::vector<std::string> roots, bool allow_syncfs = true);

    /// Some of a file is written: the device can begin with it. Any thread.
    void part_written(const File& file, uint64_t offset, uint64_t bytes) const;

    /// The same of a piece, whose descriptor will be closed before the file is written as a whole.
    /// Error: disk_full, io_error.
    void piece_written(File& file) const;

    /// A file is written, and still open. Any thread. Error: disk_full, io_error.
    void file_written(File& file) const;

    /// Everything written so far, and every directory below the roots, is durable when it returns.
    void finish();

 private:
    std::vector<std::string> roots_;
    std::map<dev_t, File> whole_;  ///< file systems that one syncfs covers
};

}  // namespace ark
