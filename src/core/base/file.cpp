#include "core/base/file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "core/base/error.hpp"

namespace ark {

namespace {

std::string quoted(const std::string& path) {
    return "\"" + path + "\"";
}

Bytes read_all(const File& file, size_t limit) {
    Bytes content(64 * 1024);
    size_t size = 0;
    for (;;) {
        const size_t n = file.pread_full(MutableByteView(content).subspan(size), size);
        size += n;
        if (size > limit) {
            throw Error(ErrorCode::corrupt,
                        "file " + quoted(file.path()) + " is longer than expected",
                        "The limit is " + std::to_string(limit) + " bytes.");
        }
        if (size < content.size())
            break;
        content.resize(content.size() * 2);
    }
    content.resize(size);
    return content;
}

}  // namespace

File::File(File&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}

File& File::operator=(File&& other) noexcept {
    if (this != &other) {
        close();
        fd_ = std::exchange(other.fd_, -1);
        path_ = std::move(other.path_);
    }
    return *this;
}

File File::open(const std::string& path, int flags, mode_t mode) {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    if (fd < 0)
        throw system_error(errno, "could not open file " + quoted(path));
    return File(fd, path);
}

std::optional<File> File::open_if_exists(const std::string& path, int flags) {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC);
    if (fd >= 0)
        return File(fd, path);
    if (errno == ENOENT || errno == ENOTDIR)
        return std::nullopt;
    throw system_error(errno, "could not open file " + quoted(path));
}

size_t File::pread_full(MutableByteView buffer, uint64_t offset) const {
    size_t done = 0;
    while (done < buffer.size()) {
        const ssize_t n = ::pread(fd_, buffer.data() + done, buffer.size() - done,
                                  static_cast<off_t>(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            throw system_error(errno, "could not read file " + quoted(path_));
        if (n == 0)
            break;
        done += static_cast<size_t>(n);
    }
    return done;
}

void File::write_all(ByteView bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            throw system_error(errno, "could not write file " + quoted(path_));
        bytes = bytes.subspan(static_cast<size_t>(n));
    }
}

void File::pwrite_all(ByteView bytes, uint64_t offset) {
    while (!bytes.empty()) {
        const ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            throw system_error(errno, "could not write file " + quoted(path_));
        bytes = bytes.subspan(static_cast<size_t>(n));
        offset += static_cast<uint64_t>(n);
    }
}

void File::fsync() {
    if (::fsync(fd_) != 0)
        throw system_error(errno, "could not fsync file " + quoted(path_));
}

struct stat File::stat() const {
    struct stat st {};
    if (::fstat(fd_, &st) != 0)
        throw system_error(errno, "could not stat file " + quoted(path_));
    return st;
}

void File::close() noexcept {
    if (fd_ >= 0)
        ::close(std::exchange(fd_, -1));
}

Bytes read_file(const std::string& path, size_t limit) {
    return read_all(File::open(path, O_RDONLY), limit);
}

std::optional<Bytes> read_file_if_exists(const std::string& path, size_t limit) {
    const std::optional<File> file = File::open_if_exists(path, O_RDONLY);
    if (!file)
        return std::nullopt;
    return read_all(*file, limit);
}

void write_file_durably(const std::string& path, ByteView content, mode_t mode) {
    const std::string temporary = path + ".tmp";
    File file = File::open(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode);
    try {
        file.write_all(content);
        file.fsync();
        if (::rename(temporary.c_str(), path.c_str()) != 0) {
            throw system_error(errno, "could not rename file " + quoted(temporary));
        }
    } catch (const Error&) {
        ::unlink(temporary.c_str());
        throw;
    }
    fsync_directory(parent_directory(path));
}

void fsync_directory(const std::string& path) {
    File::open(path, O_RDONLY | O_DIRECTORY).fsync();
}

std::string parent_directory(const std::string& path) {
    const size_t slash = path.find_last_of('/');
    if (slash == std::string::npos)
        return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace ark
