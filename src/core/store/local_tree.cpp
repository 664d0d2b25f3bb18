#include "core/store/local_tree.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "core/store/name.hpp"

namespace ark {

namespace {

constexpr int kOpenDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
constexpr const char* kMark = "ark.json";
constexpr size_t kMaxRemembered = 10000;

bool is_passing_fault(int error_number) {
    switch (error_number) {
        case ESTALE:    // NFS: the server forgot the handle
        case ENOTCONN:  // FUSE: the daemon is gone
        case EHOSTDOWN:
        case EHOSTUNREACH:
        case ENETDOWN:
        case ENETUNREACH:
        case ETIMEDOUT:
        case ENODEV:
        case ENXIO:
            return true;
        default:
            return false;
    }
}

std::string hint_for(int error_number) {
    switch (error_number) {
        case ENOSPC:
        case EDQUOT:
            return "Make room on the repository's file system, or raise the quota.";
        case EACCES:
        case EPERM:
            return "The repository must belong to the operating system user that runs PostgreSQL.";
        case EROFS:
            return "The repository's file system is mounted read-only.";
        default:
            return {};
    }
}

}  // namespace

Error local_store_error(int error_number, const std::string& what) {
    Error error = system_error(error_number, what, hint_for(error_number));
    if (is_passing_fault(error_number)) {
        error.code = ErrorCode::unavailable;
        error.retryable = true;
    }
    return error;
}

std::string LocalTree::path_of(const std::string& name) const {
    return name.empty() ? root_ : root_ + "/" + name;
}

std::optional<File> LocalTree::find_root() const {
    const int fd = ::open(root_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOENT && !mark_seen_)
            return std::nullopt;
        if (errno == ENOENT) {
            throw Error(ErrorCode::unavailable,
                        "repository directory \"" + root_ + "\" does not exist", {},
                        "Check that its file system is mounted.");
        }
        throw local_store_error(errno, "could not open repository directory \"" + root_ + "\"");
    }
    File root(fd, root_);
    if (mark_seen_)
        check_mark(root);
    return root;
}

void LocalTree::check_mark(const File& root) const {
    struct stat st {};
    if (::fstatat(root.fd(), kMark, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno != ENOENT)
            throw local_store_error(errno, "could not stat " + path_of(kMark));
        throw Error(ErrorCode::unavailable,
                    "repository directory \"" + root_ + "\" has lost its file ark.json", {},
                    "Check that its file system is mounted.");
    }
    const std::lock_guard lock(mutex_);
    if (st.st_dev == mark_.device && st.st_ino == mark_.inode)
        return;
    // The same file system, mounted anew, may have other numbers: the content decides.
    Mark now = read_mark(root);
    if (now.content != mark_.content) {
        throw Error(ErrorCode::unavailable,
                    "repository directory \"" + root_ + "\" holds another repository than before",
                    {}, "Check which file system is mounted there.");
    }
    mark_ = std::move(now);
}

LocalTree::Mark LocalTree::read_mark(const File& root) const {
    constexpr size_t kMost = 64 * 1024;
    const int fd = ::openat(root.fd(), kMark, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        throw local_store_error(errno, "could not open file \"" + path_of(kMark) + "\"");
    const File file(fd, path_of(kMark));
    const struct stat st = file.stat();
    Bytes content(kMost);
    content.resize(file.pread_full(content, 0));
    return {st.st_dev, st.st_ino, std::string(as_text(content))};
}

void LocalTree::note_mark() {
    if (mark_seen_)
        return;
    const int fd = ::open(root_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        throw local_store_error(errno, "could not open repository directory \"" + root_ + "\"");
    const File root(fd, root_);
    const std::lock_guard lock(mutex_);
    mark_ = read_mark(root);
    mark_seen_ = true;
}

File LocalTree::open_root() const {
    std::optional<File> root = find_root();
    if (!root) {
        throw Error(ErrorCode::unavailable, "repository directory \"" + root_ + "\" does not exist",
                    {},
                    "Check the repository URL, and that its file system is mounted. A new "
                    "repository's directory is made by the first server that uses it.");
    }
    return std::move(*root);
}

void LocalTree::create_root() const {
    if (::mkdir(root_.c_str(), 0700) == 0) {
        fsync_directory(root_);
        fsync_directory(parent_directory(root_));
        return;
    }
    const int error_number = errno;
    if (error_number == EEXIST)
        return;
    const Error error =
        local_store_error(error_number, "could not create directory \"" + root_ + "\"");
    throw Error(error.code, error.message, {},
                error_number == ENOENT ? "Create the directory above it first." : error.hint);
}

std::optional<File> LocalTree::find_child(const File& parent, const std::string& part) const {
    const int fd = ::openat(parent.fd(), part.c_str(), kOpenDirectory);
    if (fd >= 0)
        return File(fd, parent.path() + "/" + part);
    if (errno == ENOENT)
        return std::nullopt;
    const int open_errno = errno;
    const std::string path = parent.path() + "/" + part;
    struct stat st {};
    // A symbolic link answers ENOTDIR here, as a file does: only the file means "not there".
    if (::fstatat(parent.fd(), part.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (S_ISLNK(st.st_mode)) {
            throw Error(ErrorCode::refused, "\"" + path + "\" is a symbolic link",
                        "Symbolic links inside a repository are not followed.",
                        "Mount the other file system there, or move the whole repository.");
        }
        if (open_errno == ENOTDIR && !S_ISDIR(st.st_mode))
            return std::nullopt;
    }
    throw local_store_error(open_errno, "could not open directory \"" + path + "\"");
}

std::optional<File> LocalTree::find_directory(const std::string& name) const {
    File directory = open_root();
    for (const std::string& part : split_object_name(name)) {
        std::optional<File> child = find_child(directory, part);
        if (!child)
            return std::nullopt;
        directory = std::move(*child);
    }
    return directory;
}

bool is_removed(const File& directory) {
    return directory.stat().st_nlink == 0;
}

void give_to_owner(const File& directory, const File& made) noexcept {
    struct stat st {};
    if (::geteuid() == 0 && ::fstat(directory.fd(), &st) == 0 && st.st_uid != 0)
        (void)!::fchown(made.fd(), st.st_uid, st.st_gid);
}

// A directory that another process has just made may not be durable yet, so the first use in this
// process fsyncs the parent even where mkdir says that it is there.
void LocalTree::make_durable(const File& parent, const File& child) {
    const ino_t inode = child.stat().st_ino;
    const std::lock_guard lock(mutex_);
    const auto known = durable_.find(child.path());
    if (known != durable_.end() && known->second == inode)
        return;
    if (::fsync(parent.fd()) != 0) {
        throw local_store_error(errno, "could not fsync directory \"" + parent.path() + "\"");
    }
    if (durable_.size() >= kMaxRemembered)
        durable_.clear();
    durable_[child.path()] = inode;
}

// nullopt when it, or the parent, was removed in between: both were empty, and another writer has
// just removed the last object there.
std::optional<File> LocalTree::make_child(const File& parent, const std::string& part) {
    const std::string path = parent.path() + "/" + part;
    const bool made = ::mkdirat(parent.fd(), part.c_str(), 0700) == 0;
    if (made) {
        const std::lock_guard lock(mutex_);
        durable_.erase(path);
    } else if (errno != EEXIST) {
        const int error_number = errno;
        if (is_removed(parent))
            return std::nullopt;
        throw local_store_error(error_number, "could not create directory \"" + path + "\"");
    }
    std::optional<File> child = find_child(parent, part);
    if (child) {
        if (made)
            give_to_owner(parent, *child);
        make_durable(parent, *child);
        return child;
    }
    struct stat st {};
    if (::fstatat(parent.fd(), part.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        !S_ISDIR(st.st_mode)) {
        throw Error(ErrorCode::io_error, "\"" + path + "\" is not a directory");
    }
    return std::nullopt;
}

File LocalTree::make_directory(const std::string& name) {
    for (int round = 0; round < kMaxRounds; ++round) {
        std::optional<File> directory = open_root();
        for (const std::string& part : split_object_name(name)) {
            directory = make_child(*directory, part);
            if (!directory)
                break;
        }
        if (directory)
            return std::move(*directory);
    }
    throw Error(ErrorCode::io_error, "could not create directory \"" + path_of(name) + "\"",
                "Another process keeps removing it.");
}

void LocalTree::remove_empty(const std::string& name) const noexcept {
    try {
        for (std::string path = name; !path.empty(); path = object_directory(path)) {
            const std::optional<File> parent = find_directory(object_directory(path));
            if (!parent)
                return;
            const std::string last = split_object_name(path).back();
            if (::unlinkat(parent->fd(), last.c_str(), AT_REMOVEDIR) != 0)
                return;
        }
    } catch (const std::exception&) {
        // Best effort: an empty directory harms nobody.
    }
}

}  // namespace ark
