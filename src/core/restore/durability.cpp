#include "core/restore/durability.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "core/base/error.hpp"
#include "core/restore/tree.hpp"

namespace ark {

namespace {

constexpr long kXfsMagic = 0x58465342;  // not in <linux/magic.h> of older headers

bool kernel_reports_syncfs_errors() {
    utsname name{};
    int major = 0;
    int minor = 0;
    if (::uname(&name) != 0 || std::sscanf(name.release, "%d.%d", &major, &minor) != 2)
        return false;
    return major > 5 || (major == 5 && minor >= 8);
}

// Those whose sync_fs and inode writeback are the kernel's own: no network, no FUSE, no stacking.
bool is_known(int fd) {
    struct statfs fs {};
    if (::fstatfs(fd, &fs) != 0)
        return false;
    return fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == kXfsMagic ||
           fs.f_type == BTRFS_SUPER_MAGIC || fs.f_type == TMPFS_MAGIC;
}

}  // namespace

Durability::Durability(std::vector<std::string> roots, bool allow_syncfs)
    : roots_(std::move(roots)) {
    if (!allow_syncfs || !kernel_reports_syncfs_errors())
        return;
    for (const std::string& root : roots_) {
        File directory = File::open(root, O_RDONLY | O_DIRECTORY);
        if (!is_known(directory.fd()))
            continue;
        whole_.try_emplace(directory.stat().st_dev, std::move(directory));
    }
}

// A hint: errors show in file_written or finish.
void Durability::part_written(const File& file, uint64_t offset, uint64_t bytes) const {
    ::sync_file_range(file.fd(), static_cast<off_t>(offset), static_cast<off_t>(bytes),
                      SYNC_FILE_RANGE_WRITE);
}

// The writeback of what a closed descriptor wrote may fail unheard, but for syncfs.
void Durability::piece_written(File& file) const {
    if (!whole_.contains(file.stat().st_dev))
        file.fsync();
}

void Durability::file_written(File& file) const {
    const struct stat st = file.stat();
    if (!whole_.contains(st.st_dev)) {
        file.fsync();
        return;
    }
    // Starts the writing, so that finish() has less to wait for. It is a hint: errors show there.
    ::sync_file_range(file.fd(), 0, 0, SYNC_FILE_RANGE_WRITE);
}

void Durability::finish() {
    for (const auto& [device, directory] : whole_) {
        if (::syncfs(directory.fd()) != 0) {
            throw system_error(errno,
                               "could not write the file system of \"" + directory.path() + "\"");
        }
    }
    for (const std::string& root : roots_)
        fsync_directories(root);
}

}  // namespace ark
