#include "core/restore/delta.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <vector>

#include "core/base/crc32c.hpp"
#include "core/base/error.hpp"
#include "core/pipeline/content_hash.hpp"
#include "core/restore/tree.hpp"

namespace ark {

namespace {

/// The index, asked for paths in its own order.
class IndexCursor {
 public:
    IndexCursor(Repository& repository, const BackupMarker& backup)
        : reader_(repository, backup.cluster, backup.backup_id, backup.index_sha256),
          entry_(reader_.next()) {}

    std::optional<EntryType> find(const std::string& path) {
        while (entry_ && entry_->path < path)
            entry_ = reader_.next();
        return entry_ && entry_->path == path ? std::optional(entry_->type) : std::nullopt;
    }

 private:
    IndexReader reader_;
    std::optional<IndexEntry> entry_;
};

class Pruner {
 public:
    Pruner(Repository& repository, const BackupMarker& backup, const std::set<std::string>& keep,
           const std::function<void()>& tick)
        : index_(repository, backup), keep_(keep), tick_(tick) {}

    void run(const DeltaRoot& root) { walk(root.directory, root.index_path, true); }

 private:
    // What a directory holds comes in the index at "<name>/", which is not beside "<name>": "a.b"
    // lies between "a" and "a/b".
    struct Step {
        std::string key;
        std::string name;
        bool inside;
    };

    void walk(const std::string& directory, const std::string& index_path, bool top) {
        // It may have lost its bits.
        if (::access(directory.c_str(), R_OK | W_OK | X_OK) != 0)
            ::chmod(directory.c_str(), 0700);
        std::vector<Step> steps;
        for (std::string& name : names_in_directory(directory)) {
            if (top && keep_.contains(name))
                continue;
            steps.push_back({name + "/", name, true});
            std::string key = name;
            steps.push_back({std::move(key), std::move(name), false});
        }
        std::ranges::sort(steps, {}, &Step::key);
        std::set<std::string> kept;  // directories whose content is looked at
        for (const Step& step : steps) {
            const std::string place = directory + "/" + step.name;
            const std::string path = index_path.empty() ? step.name : index_path + "/" + step.name;
            if (!step.inside) {
                if (stays(place, path))
                    kept.insert(step.name);
            } else if (kept.contains(step.name)) {
                walk(place, path, false);
            }
        }
        tick_();
    }

    // True for a directory that stays.
    bool stays(const std::string& place, const std::string& path) {
        struct stat st {};
        if (::lstat(place.c_str(), &st) != 0)
            throw system_error(errno, "could not stat \"" + place + "\"");
        const auto type = index_.find(path);
        if (S_ISDIR(st.st_mode)) {
            if (type == EntryType::directory)
                return true;
            remove_tree(place);
        } else if ((type != EntryType::file || !S_ISREG(st.st_mode)) &&
                   ::unlink(place.c_str()) != 0 && errno != ENOENT) {
            throw system_error(errno, "could not remove file \"" + place + "\"");
        }
        return false;
    }

    IndexCursor index_;
    const std::set<std::string>& keep_;
    const std::function<void()>& tick_;
};

}  // namespace

void prune(Repository& repository, const BackupMarker& backup, const DeltaRoot& root,
           const std::set<std::string>& keep, const std::function<void()>& tick) {
    Pruner(repository, backup, keep, tick).run(root);
}

std::optional<File> open_if_right(const std::string& path, const IndexEntry& entry,
                                  MutableByteView buffer, const std::function<bool()>& abandoned) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return std::nullopt;
    File file(fd, path);
    const struct stat st = file.stat();
    if (!is_own_plain_file(st) || static_cast<uint64_t>(st.st_size) != entry.size)
        return std::nullopt;
    if (entry.size == 0)
        return file;
    if (!entry.xxh128.is_known())
        return std::nullopt;
    // Clean pages of the cache may be better than what the disk has by now.
    static_cast<void>(::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
    static_cast<void>(::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL));
    ContentHash hash;
    uint32_t crc = 0;
    for (uint64_t offset = 0; offset < entry.size;) {
        if (abandoned())
            return std::nullopt;
        const size_t n = file.pread_full(buffer, offset);
        if (n == 0)
            return std::nullopt;
        crc = crc32c(crc, buffer.first(n));
        hash.update(buffer.first(n));
        offset += n;
    }
    if (crc != entry.crc32c || hash.finish() != entry.xxh128)
        return std::nullopt;
    return file;
}

}  // namespace ark
