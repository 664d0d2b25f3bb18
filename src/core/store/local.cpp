#include "core/store/local.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/store/local_file.hpp"
#include "core/store/local_tree.hpp"
#include "core/store/name.hpp"

namespace ark {

namespace {

const std::string kMark = "ark.json";

UnixMicros modified_of(const struct stat& st) {
    return st.st_mtim.tv_sec * 1000000LL + st.st_mtim.tv_nsec / 1000;
}

ObjectInfo info_of(std::string name, const struct stat& st) {
    return {std::move(name), static_cast<uint64_t>(st.st_size), modified_of(st)};
}

// An entry of one directory. `key` gives the order of the objects' whole names: a directory's parts
// compare with the slash that follows them.
struct Child {
    std::string part;
    std::string key;
    struct stat st {};
};

std::vector<std::string> names_in(const File& directory) {
    const int copy = ::openat(directory.fd(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* stream = copy < 0 ? nullptr : ::fdopendir(copy);
    if (stream == nullptr) {
        const int error_number = errno;
        if (copy >= 0)
            ::close(copy);
        if (error_number == ENOENT)
            return {};  // removed since it was opened
        throw local_store_error(error_number,
                                "could not read directory \"" + directory.path() + "\"");
    }
    const std::unique_ptr<DIR, int (*)(DIR*)> closer(stream, ::closedir);
    std::vector<std::string> names;
    for (;;) {
        errno = 0;
        const dirent* entry = ::readdir(stream);
        if (entry == nullptr)
            break;
        if (is_object_name_part(entry->d_name))
            names.emplace_back(entry->d_name);
    }
    if (errno != 0) {
        throw local_store_error(errno, "could not read directory \"" + directory.path() + "\"");
    }
    return names;
}

std::vector<Child> children_of(const File& directory) {
    std::vector<Child> children;
    for (std::string& part : names_in(directory)) {
        Child child;
        if (::fstatat(directory.fd(), part.c_str(), &child.st, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno == ENOENT)
                continue;
            throw local_store_error(errno,
                                    "could not stat \"" + directory.path() + "/" + part + "\"");
        }
        if (!S_ISREG(child.st.st_mode) && !S_ISDIR(child.st.st_mode))
            continue;
        child.key = S_ISDIR(child.st.st_mode) ? part + "/" : part;
        child.part = std::move(part);
        children.push_back(std::move(child));
    }
    std::sort(children.begin(), children.end(),
              [](const Child& a, const Child& b) { return a.key < b.key; });
    return children;
}

class LocalUpload final : public Upload {
 public:
    LocalUpload(LocalTree& tree, const std::string& name, bool unnamed)
        : file_(tree, name, unnamed) {}
    void write(ByteView bytes) override { file_.write(bytes); }
    PutResult finish() override { return file_.publish(); }
    void cancel() noexcept override { file_.cancel(); }

 private:
    PendingFile file_;
};

class LocalStore final : public ObjectStore {
 public:
    LocalStore(const std::string& root, LocalOptions options) : tree_(root), options_(options) {}

    PutResult put_if_absent(const std::string& name, ByteView content) override {
        check_object_name(name);
        if (name == kMark)
            tree_.create_root();
        PendingFile file(tree_, name, options_.unnamed_temporaries);
        file.write(content);
        const PutResult result = file.publish();
        if (name == kMark)
            tree_.note_mark();
        return result;
    }

    std::unique_ptr<Upload> start_upload(const std::string& name) override {
        check_object_name(name);
        return std::make_unique<LocalUpload>(tree_, name, options_.unnamed_temporaries);
    }

    std::optional<Bytes> get(const std::string& name, uint64_t limit) override {
        check_object_name(name);
        const std::optional<Found> found = find(name);
        if (!found)
            return std::nullopt;
        const auto size = static_cast<uint64_t>(found->st.st_size);
        if (size > limit) {
            throw Error(ErrorCode::corrupt,
                        "object \"" + tree_.path_of(name) + "\" is longer than expected",
                        "It has " + std::to_string(size) + " bytes; the limit is " +
                            std::to_string(limit) + ".");
        }
        Bytes content(size);
        content.resize(read(found->file, 0, content));
        return content;
    }

    size_t get_range(const std::string& name, uint64_t offset, MutableByteView buffer) override {
        check_object_name(name);
        const std::optional<Found> found = find(name);
        if (!found) {
            throw Error(ErrorCode::not_found,
                        "object \"" + tree_.path_of(name) + "\" does not exist");
        }
        return read(found->file, offset, buffer);
    }

    std::optional<ObjectInfo> head(const std::string& name) override {
        check_object_name(name);
        const std::optional<Found> found = find(name);
        if (!found)
            return std::nullopt;
        return info_of(name, found->st);
    }

    void list(const std::string& prefix,
              const std::function<bool(const ObjectInfo&)>& visit) override {
        check_object_prefix(prefix);
        if (!tree_.find_root())
            return;
        walk(prefix, visit);
    }

    std::vector<std::string> list_parts(const std::string& prefix) override {
        check_object_prefix(prefix);
        if (!tree_.find_root())
            return {};
        const std::optional<File> directory = tree_.find_directory(prefix);
        if (!directory)
            return {};
        std::vector<std::string> parts;
        for (const Child& child : children_of(*directory)) {
            if (S_ISREG(child.st.st_mode) || holds_object(join(prefix, child.part))) {
                parts.push_back(child.part);
            }
        }
        std::sort(parts.begin(), parts.end());
        return parts;
    }

    void make_durable(const std::string& name) override {
        check_object_name(name);
        const File directory = tree_.make_directory(object_directory(name));
        if (::fsync(directory.fd()) != 0) {
            throw local_store_error(errno,
                                    "could not fsync directory \"" + directory.path() + "\"");
        }
    }

    uint64_t remove_temporaries(const std::string& prefix, UnixMicros before) override {
        check_object_prefix(prefix);
        return tree_.find_root() ? remove_abandoned_files(tree_, prefix, before) : 0;
    }

    bool remove(const std::string& name) override {
        check_object_name(name);
        const std::string directory_name = object_directory(name);
        const std::optional<File> directory = tree_.find_directory(directory_name);
        if (!directory || !find(name))
            return false;
        if (::unlinkat(directory->fd(), split_object_name(name).back().c_str(), 0) != 0) {
            if (errno == ENOENT)
                return false;
            throw local_store_error(errno, "could not remove file \"" + tree_.path_of(name) + "\"");
        }
        // "Marker removed first" holds after a crash only if the removal itself is durable.
        if (::fsync(directory->fd()) != 0) {
            throw local_store_error(errno,
                                    "could not fsync directory \"" + directory->path() + "\"");
        }
        tree_.remove_empty(directory_name);
        return true;
    }

    std::optional<uint64_t> free_bytes() override {
        const File root = tree_.open_root();
        struct statvfs fs {};
        if (::fstatvfs(root.fd(), &fs) != 0) {
            throw local_store_error(errno,
                                    "could not stat the file system of \"" + root.path() + "\"");
        }
        return static_cast<uint64_t>(fs.f_bavail) * fs.f_frsize;
    }

    std::string url() const override {
        std::string out = "file://";
        for (const char c : tree_.root()) {
            const bool plain = c == '/' || is_object_name_character(c);
            out += plain ? std::string(1, c) : "%" + to_hex(std::string_view(&c, 1));
        }
        return out;
    }

 private:
    struct Found {
        File file;
        struct stat st {};
    };

    static std::string join(const std::string& prefix, const std::string& part) {
        return prefix.empty() ? part : prefix + "/" + part;
    }

    // Opens an object's file. nullopt only where an intact root says that it is not there.
    std::optional<Found> find(const std::string& name) {
        const std::optional<File> directory = tree_.find_directory(object_directory(name));
        if (!directory)
            return std::nullopt;
        // O_NONBLOCK: a FIFO in the way must not hang us.
        const int fd = ::openat(directory->fd(), split_object_name(name).back().c_str(),
                                O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        const std::string path = tree_.path_of(name);
        if (fd < 0) {
            if (errno == ENOENT)
                return std::nullopt;
            if (errno == ELOOP) {
                throw Error(ErrorCode::refused, "\"" + path + "\" is a symbolic link",
                            "Symbolic links inside a repository are not followed.");
            }
            throw local_store_error(errno, "could not open file \"" + path + "\"");
        }
        Found found{File(fd, path), {}};
        if (::fstat(fd, &found.st) != 0) {
            throw local_store_error(errno, "could not stat file \"" + path + "\"");
        }
        if (S_ISDIR(found.st.st_mode))
            return std::nullopt;
        if (!S_ISREG(found.st.st_mode)) {
            throw Error(ErrorCode::refused, "\"" + path + "\" is not a regular file");
        }
        if (name == kMark)
            tree_.note_mark();
        return found;
    }

    static size_t read(const File& file, uint64_t offset, MutableByteView buffer) {
        size_t done = 0;
        while (done < buffer.size()) {
            const ssize_t n = ::pread(file.fd(), buffer.data() + done, buffer.size() - done,
                                      static_cast<off_t>(offset + done));
            if (n < 0 && errno == EINTR)
                continue;
            if (n < 0) {
                throw local_store_error(errno, "could not read file \"" + file.path() + "\"");
            }
            if (n == 0)
                break;
            done += static_cast<size_t>(n);
        }
        return done;
    }

    // False when the visitor asked to stop.
    bool walk(const std::string& prefix, const std::function<bool(const ObjectInfo&)>& visit) {
        const std::optional<File> directory = tree_.find_directory(prefix);
        if (!directory)
            return true;
        for (const Child& child : children_of(*directory)) {
            const std::string name = join(prefix, child.part);
            const bool go_on =
                S_ISDIR(child.st.st_mode) ? walk(name, visit) : visit(info_of(name, child.st));
            if (!go_on)
                return false;
        }
        return true;
    }

    // Directories are no objects: one that is empty, or holds temporaries alone, is not there.
    bool holds_object(const std::string& directory) {
        return !walk(directory, [](const ObjectInfo&) { return false; });
    }

    LocalTree tree_;
    const LocalOptions options_;
};

}  // namespace

std::unique_ptr<ObjectStore> make_local_store(const std::string& root, LocalOptions options) {
    return std::make_unique<LocalStore>(root, options);
}

}  // namespace ark
