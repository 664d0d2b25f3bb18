#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>

#include "core/base/bytes.hpp"

namespace ark {

/// An open descriptor, closed at the end of its life. Moves, does not copy. Calls may come from any
/// thread, one at a time for the same object except pread_full.
class File {
 public:
    File() = default;
    explicit File(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
    ~File() { close(); }
    File(File&& other) noexcept;
    File& operator=(File&& other) noexcept;
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    /// open(2) with O_CLOEXEC. Error: as system_error.
    static File open(const std::string& path, int flags, mode_t mode = 0600);
    /// The same, nullopt where the file is not there (ENOENT, ENOTDIR).
    static std::optional<File> open_if_exists(const std::string& path, int flags);

    /// Reads until the buffer is full or the file ends; the number of bytes read.
    size_t pread_full(MutableByteView buffer, uint64_t offset) const;
    /// Writes all. Error: disk_full, io_error.
    void write_all(ByteView bytes);
    void pwrite_all(ByteView bytes, uint64_t offset);
    void fsync();
    struct stat stat() const;
    void close() noexcept;

    int fd() const { return fd_; }
    const std::string& path() const { return path_; }
    bool is_open() const { return fd_ >= 0; }

 private:
    int fd_ = -1;
    std::string path_;
};

/// The whole file. Error: as system_error, or corrupt when it is longer than `limit` bytes.
Bytes read_file(const std::string& path, size_t limit);
std::optional<Bytes> read_file_if_exists(const std::string& path, size_t limit);

/// Writes `path`.tmp, fsyncs it, renames it into place and fsyncs the directory: after a crash the
/// file is the old or the new one.
void write_file_durably(const std::string& path, ByteView content, mode_t mode);

/// fsync of a directory: makes the names in it durable.
void fsync_directory(const std::string& path);
/// "/a/b" of "/a/b/c"; "." of "c"; "/" of "/c".
std::string parent_directory(const std::string& path);

}  // namespace ark
