#include "core/restore/tree.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>

#include "core/base/error.hpp"
#include "core/base/file.hpp"

namespace ark {

namespace {

struct stat status_of(const std::string& path) {
    struct stat st {};
    if (::lstat(path.c_str(), &st) != 0) {
        throw system_error(errno, "could not stat \"" + path + "\"");
    }
    return st;
}

void remove_entry(const std::string& path) {
    if (S_ISDIR(status_of(path).st_mode)) {
        remove_tree(path);
    } else if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
        throw system_error(errno, "could not remove file \"" + path + "\"");
    }
}

}  // namespace

std::string join_path(const std::string& directory, const std::string& name) {
    return directory + "/" + name;
}

std::vector<std::string> names_in_directory(const std::string& path) {
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), ::closedir);
    if (!directory)
        throw system_error(errno, "could not open directory \"" + path + "\"");
    std::vector<std::string> names;
    for (;;) {
        errno = 0;
        const dirent* entry = ::readdir(directory.get());
        if (entry == nullptr)
            break;
        const std::string name = entry->d_name;
        if (name != "." && name != "..")
            names.push_back(name);
    }
    if (errno != 0)
        throw system_error(errno, "could not read directory \"" + path + "\"");
    return names;
}

bool is_empty_directory(const std::string& path) {
    struct stat st {};
    return ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode) &&
           names_in_directory(path).empty();
}

void empty_directory(const std::string& path, const std::set<std::string>& keep) {
    for (const std::string& name : names_in_directory(path)) {
        if (!keep.contains(name))
            remove_entry(join_path(path, name));
    }
}

void remove_tree(const std::string& path) {
    // Files of a cluster are writable for their owner, but a directory may have lost its bits.
    if (::access(path.c_str(), R_OK | W_OK | X_OK) != 0)
        ::chmod(path.c_str(), 0700);
    empty_directory(path, {});
    // EBUSY: a file system of its own is mounted there. It is empty now, which is what counts.
    if (::rmdir(path.c_str()) != 0 && errno != EBUSY) {
        throw system_error(errno, "could not remove directory \"" + path + "\"");
    }
}

void make_directories(const std::string& path, unsigned mode) {
    if (::mkdir(path.c_str(), mode) == 0)
        return;
    if (errno == ENOENT) {
        make_directories(parent_directory(path), mode);
        if (::mkdir(path.c_str(), mode) == 0)
            return;
    }
    const int error_number = errno;
    struct stat st {};
    if (error_number == EEXIST && ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode))
        return;
    throw system_error(error_number, "could not create directory \"" + path + "\"");
}

File make_file(const std::string& path) {
    constexpr int kFlags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW;
    try {
        return File::open(path, kFlags, 0600);
    } catch (const Error& error) {
        if (error.code != ErrorCode::not_found)
            throw;
    }
    make_directories(parent_directory(path), 0700);
    return File::open(path, kFlags, 0600);
}

bool is_own_plain_file(const struct stat& st) {
    return S_ISREG(st.st_mode) && st.st_nlink == 1 && st.st_uid == ::geteuid();
}

uint64_t disk_usage(const std::string& path) {
    struct stat st {};
    if (::lstat(path.c_str(), &st) != 0)
        return 0;
    constexpr uint64_t kBlock = 512;  // the unit of st_blocks, whatever the file system's is
    uint64_t bytes = static_cast<uint64_t>(st.st_blocks) * kBlock;
    if (!S_ISDIR(st.st_mode))
        return bytes;
    for (const std::string& name : names_in_directory(path))
        bytes += disk_usage(join_path(path, name));
    return bytes;
}

void fsync_directories(const std::string& path) {
    for (const std::string& name : names_in_directory(path)) {
        const std::string child = join_path(path, name);
        if (S_ISDIR(status_of(child).st_mode))
            fsync_directories(child);
    }
    fsync_directory(path);
}

std::string canonical_path(const std::string& path) {
    std::error_code error;
    const std::filesystem::path absolute = std::filesystem::absolute(path, error);
    const std::filesystem::path canonical =
        error ? absolute : std::filesystem::weakly_canonical(absolute, error);
    if (error)
        throw system_error(error.value(), "could not resolve path \"" + path + "\"");
    std::string text = canonical.lexically_normal().string();
    while (text.size() > 1 && text.back() == '/')
        text.pop_back();
    return text;
}

}  // namespace ark
