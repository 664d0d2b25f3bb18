#include "core/store/local_file.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <utility>

#include "core/base/clock.hpp"
#include "core/base/fault.hpp"
#include "core/store/name.hpp"

namespace ark {

namespace {

// Writeback starts this often during an upload: without it, finish() waits for the whole pack.
constexpr uint64_t kWritebackStep = 8 << 20;

std::string last_part(const std::string& name) {
    return split_object_name(name).back();
}

// It is in no object's name, so a listing can tell these apart.
constexpr char kTemporaryMark = '~';

std::string temporary_name() {
    static std::atomic<uint64_t> counter = 0;
    return kTemporaryMark + std::to_string(::getpid()) + "-" + std::to_string(now_micros()) + "-" +
           std::to_string(++counter);
}

}  // namespace

PendingFile::PendingFile(LocalTree& tree, std::string name, bool unnamed)
    : tree_(tree), name_(std::move(name)) {
    // The directory can go between two calls: removing the last object in it removes it as well.
    for (int round = 0;; ++round) {
        directory_ = tree_.make_directory(object_directory(name_));
        try {
            if (!unnamed || !open_unnamed())
                open_named();
            give_to_owner(directory_, file_);
            return;
        } catch (const Error&) {
            if (!is_removed(directory_) || round == kMaxRounds)
                throw;
        }
    }
}

// False where the file system or the kernel cannot do it.
bool PendingFile::open_unnamed() {
    // linkat() reaches an unnamed file through /proc.
    if (::access("/proc/self/fd", X_OK) != 0)
        return false;
    const int fd = ::openat(directory_.fd(), ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0) {
        file_ = File(fd, tree_.path_of(name_));
        return true;
    }
    if (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL || errno == ENOSYS)
        return false;
    throw local_store_error(errno, "could not create file \"" + tree_.path_of(name_) + "\"");
}

void PendingFile::open_named() {
    temporary_ = temporary_name();
    const int fd = ::openat(directory_.fd(), temporary_.c_str(),
                            O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        temporary_.clear();
        throw local_store_error(errno, "could not create file \"" + tree_.path_of(name_) + "\"");
    }
    file_ = File(fd, tree_.path_of(name_));
}

void PendingFile::write(ByteView bytes) {
    if (!file_.is_open())
        throw Error(ErrorCode::internal, "write to an upload that has ended");
    while (!bytes.empty()) {
        const ssize_t n = ::write(file_.fd(), bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            const int error_number = errno;
            cancel();
            throw local_store_error(error_number, "could not write file \"" + file_.path() + "\"");
        }
        bytes = bytes.subspan(static_cast<size_t>(n));
        written_ += static_cast<uint64_t>(n);
    }
    if (written_ - flushing_ >= kWritebackStep) {
        // Only a hint: fsync reports what goes wrong.
        ::sync_file_range(file_.fd(), static_cast<off_t>(flushing_),
                          static_cast<off_t>(written_ - flushing_), SYNC_FILE_RANGE_WRITE);
        flushing_ = written_;
    }
}

int PendingFile::link_unnamed(const std::string& last) const {
    const std::string source = "/proc/self/fd/" + std::to_string(file_.fd());
    const int rc =
        ::linkat(AT_FDCWD, source.c_str(), directory_.fd(), last.c_str(), AT_SYMLINK_FOLLOW);
    return rc == 0 ? 0 : errno;
}

int PendingFile::link_named(const std::string& last) {
    if (::renameat2(directory_.fd(), temporary_.c_str(), directory_.fd(), last.c_str(),
                    RENAME_NOREPLACE) == 0) {
        temporary_.clear();
        return 0;
    }
    if (errno != EINVAL && errno != ENOSYS)
        return errno;
    if (::linkat(directory_.fd(), temporary_.c_str(), directory_.fd(), last.c_str(), 0) != 0) {
        return errno;
    }
    ::unlinkat(directory_.fd(), temporary_.c_str(), 0);
    temporary_.clear();
    return 0;
}

int PendingFile::link_to(const std::string& last) {
    if (!temporary_.empty())
        return link_named(last);
    int result = link_unnamed(last);
    for (int round = 0; result != 0 && is_removed(directory_) && round < kMaxRounds; ++round) {
        // The directory was removed while it was empty: the file itself is still whole.
        directory_ = tree_.make_directory(object_directory(name_));
        result = link_unnamed(last);
    }
    return result;
}

PutResult PendingFile::publish() {
    if (!file_.is_open())
        throw Error(ErrorCode::internal, "finish of an upload that has ended");
    PG_ARK_FAULT_POINT("store_before_fsync");
    if (::fsync(file_.fd()) != 0) {
        throw local_store_error(errno, "could not fsync file \"" + file_.path() + "\"");
    }
    PG_ARK_FAULT_POINT("store_before_link");
    const int result = link_to(last_part(name_));
    if (result == EOPNOTSUPP || result == EPERM) {
        throw Error(ErrorCode::unsupported,
                    "the file system of \"" + tree_.root() +
                        "\" cannot create a file only if its name is free",
                    "Neither renameat2(RENAME_NOREPLACE) nor link() works on it.",
                    "Put the repository on a file system that has hard links.");
    }
    if (result != 0 && result != EEXIST) {
        throw local_store_error(result, "could not create file \"" + file_.path() + "\"");
    }
    PG_ARK_FAULT_POINT("store_after_link");
    if (::fsync(directory_.fd()) != 0) {
        throw local_store_error(errno, "could not fsync directory \"" + directory_.path() + "\"");
    }
    cancel();
    return result == 0 ? PutResult::created : PutResult::exists;
}

void PendingFile::cancel() noexcept {
    if (!temporary_.empty())
        ::unlinkat(directory_.fd(), temporary_.c_str(), 0);
    temporary_.clear();
    file_.close();
}

// Only temporaries and entries of unknown kind are looked at one by one: an archive of WAL has
// hundreds of thousands of objects.
uint64_t remove_abandoned_files(LocalTree& tree, const std::string& name, UnixMicros before) {
    const std::optional<File> directory = tree.find_directory(name);
    if (!directory)
        return 0;
    const int copy = ::openat(directory->fd(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(copy < 0 ? nullptr : ::fdopendir(copy),
                                                     ::closedir);
    if (!stream) {
        if (errno == ENOENT)
            return 0;
        throw local_store_error(errno, "could not read directory \"" + directory->path() + "\"");
    }
    uint64_t removed = 0;
    std::vector<std::string> directories;
    while (const dirent* entry = ::readdir(stream.get())) {
        const std::string part = entry->d_name;
        const bool temporary = part.front() == kTemporaryMark;
        if (!temporary && (!is_object_name_part(part) ||
                           (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN)))
            continue;
        struct stat st {};
        if (::fstatat(directory->fd(), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (S_ISDIR(st.st_mode) && !temporary) {
            directories.push_back(name.empty() ? part : name + "/" + part);
        } else if (S_ISREG(st.st_mode) && temporary && st.st_mtim.tv_sec * 1000000LL < before) {
            removed += ::unlinkat(directory->fd(), entry->d_name, 0) == 0 ? 1 : 0;
        }
    }
    for (const std::string& child : directories)
        removed += remove_abandoned_files(tree, child, before);
    if (removed > 0)
        tree.remove_empty(name);
    return removed;
}

}  // namespace ark
