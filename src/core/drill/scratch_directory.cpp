#include "core/drill/scratch_directory.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <ctime>
#include <optional>

#include "core/base/error.hpp"
#include "core/drill/job.hpp"
#include "core/drill/processes.hpp"
#include "core/restore/plan.hpp"
#include "core/restore/tree.hpp"
#include "core/store/local.hpp"

namespace ark {

namespace {

constexpr const char* kPrefix = "pg_ark-test-";
constexpr const char* kLockName = "lock";
constexpr const char* kKeepName = "keep";
// sun_path has 108 bytes, and some are for ".s.PGSQL.5432.lock".
constexpr size_t kLongestSocketDirectory = 85;

bool exists(const std::string& path) {
    struct stat st {};
    return ::lstat(path.c_str(), &st) == 0;
}

// Below /tmp everybody may make names: only a directory of our own is taken for the test's.
std::string short_socket_directory(const std::string& test_name) {
    return "/tmp/" + test_name;
}

bool is_own_directory(const std::string& path) {
    struct stat st {};
    return ::lstat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == ::geteuid();
}

void make_private_directory(const std::string& path) {
    if (::mkdir(path.c_str(), 0700) == 0)
        return;
    if (errno == EEXIST)
        throw Error(ErrorCode::already_exists, "directory \"" + path + "\" exists");
    throw system_error(errno, "could not create directory \"" + path + "\"",
                       "Give another --scratch, or make it for the user that runs this.");
}

bool try_lock(const File& file) {
    return ::flock(file.fd(), LOCK_EX | LOCK_NB) == 0;
}

// It says whose it is, so that it can go where the test's own directory has been removed by hand.
File lock_socket_directory(const std::string& path) {
    File lock = File::open(path + "/" + kLockName, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (!try_lock(lock))
        throw system_error(errno, "could not lock \"" + lock.path() + "\"");
    return lock;
}

// Held while a test's directory is made and locked, and while a sweep looks: nobody sees one that
// is made and not locked yet.
File lock_scratch(const std::string& scratch) {
    File directory = File::open(scratch, O_RDONLY | O_DIRECTORY);
    while (::flock(directory.fd(), LOCK_EX) != 0) {
        if (errno != EINTR)
            throw system_error(errno, "could not lock directory \"" + scratch + "\"");
    }
    return directory;
}

// Whoever made the directory: what merely begins like the name of a test's is somebody else's.
bool is_name_of_test(const std::string& name) {
    constexpr std::string_view kForm = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    if (!name.starts_with(kPrefix))
        return false;
    const std::string id = name.substr(std::string_view(kPrefix).size());
    return std::ranges::equal(id, kForm, [](char c, char form) {
        return form == 'x' ? std::isxdigit(static_cast<unsigned char>(c)) != 0 : c == form;
    });
}

// The lock goes last, so that what is left by a removal that did not end is still known by it.
void remove_test(const std::string& path, const std::string& name) {
    end_processes_in(path);
    remove_shared_memory_of(path + "/data");
    const std::string socket = short_socket_directory(name);
    if (is_own_directory(socket))
        remove_tree(socket);
    empty_directory(path, {kLockName});
    const File guard = lock_scratch(parent_directory(path));
    remove_tree(path);
}

// The lock of a test that is no more; nullopt where it runs, or has just been removed.
std::optional<File> lock_of_dead_test(const std::string& scratch, const std::string& path) {
    const File guard = lock_scratch(scratch);
    if (!is_own_directory(path))
        return std::nullopt;
    if (!exists(path + "/" + kLockName)) {
        // Killed before it had one; nothing else is in it then, or it is none.
        ::rmdir(path.c_str());
        return std::nullopt;
    }
    File lock = File::open(path + "/" + kLockName, O_RDWR | O_NOFOLLOW);
    return try_lock(lock) ? std::optional(std::move(lock)) : std::nullopt;
}

}  // namespace

ScratchDirectory::ScratchDirectory(const std::string& scratch, const std::string& test_id)
    : scratch_(scratch) {
    made_scratch_ = !exists(scratch);
    make_directories(scratch, 0700);
    scratch_ = canonical_path(scratch);
    const std::string name = kPrefix + test_id;
    const std::string path = scratch_ + "/" + name;
    const File guard = lock_scratch(scratch_);
    make_private_directory(path);
    path_ = path;
    try {
        lock_ = File::open(path_ + "/" + kLockName, O_RDWR | O_CREAT | O_EXCL, 0600);
        if (!try_lock(lock_))
            throw system_error(errno, "could not lock \"" + lock_.path() + "\"");
        lock_.write_all(as_bytes(std::to_string(::getpid()) + "\n"));
        socket_directory_ = path_ + "/socket";
        if (socket_directory_.size() > kLongestSocketDirectory)
            socket_directory_ = short_socket_directory(name);
        make_private_directory(socket_directory_);
        if (is_below_tmp())
            socket_lock_ = lock_socket_directory(socket_directory_);
        for (const char* inside : {"conf", "tablespaces"})
            make_private_directory(path_ + "/" + inside);
    } catch (...) {
        if (socket_lock_.is_open())
            remove_tree(socket_directory_);
        remove_tree(path_);
        throw;
    }
}

bool ScratchDirectory::is_below_tmp() const {
    return !socket_directory_.starts_with(path_ + "/");
}

ScratchDirectory::~ScratchDirectory() {
    try {
        if (!kept_)
            remove();
    } catch (const Error&) {
        // Left for a sweep.
    }
}

void ScratchDirectory::keep() {
    File::open(path_ + "/" + kKeepName, O_WRONLY | O_CREAT, 0600);
    kept_ = true;
    // Its server has ended, and who starts another says where its socket is to be.
    if (is_below_tmp())
        remove_tree(socket_directory_);
}

void ScratchDirectory::remove() {
    if (removed_)
        return;
    remove_test(path_, path_.substr(scratch_.size() + 1));
    removed_ = true;
    if (made_scratch_)
        ::rmdir(scratch_.c_str());  // unless another test works there
}

namespace {

// A minute is more than making one and locking it takes.
bool is_left_over_socket_directory(const std::string& path) {
    constexpr time_t kYoung = 60;
    struct stat st {};
    if (!is_own_directory(path) || ::lstat(path.c_str(), &st) != 0 ||
        st.st_mtime > ::time(nullptr) - kYoung) {
        return false;
    }
    const auto lock = File::open_if_exists(path + "/" + kLockName, O_RDWR | O_NOFOLLOW);
    return !lock || try_lock(*lock);
}

// Nobody needs what is left, and it is nearly nothing: what cannot be removed harms no test.
void sweep_socket_directories() {
    try {
        for (const std::string& name : names_in_directory("/tmp")) {
            const std::string path = short_socket_directory(name);
            if (is_name_of_test(name) && is_left_over_socket_directory(path))
                remove_tree(path);
        }
    } catch (const Error&) {
        // Another sweep's, perhaps.
    }
}

}  // namespace

int sweep_scratch_directory(const std::string& scratch_directory) {
    sweep_socket_directories();
    if (!exists(scratch_directory))
        return 0;
    const std::string scratch = canonical_path(scratch_directory);
    int removed = 0;
    for (const std::string& name : names_in_directory(scratch)) {
        const std::string path = scratch + "/" + name;
        if (!is_name_of_test(name) || !is_own_directory(path) || exists(path + "/" + kKeepName)) {
            continue;
        }
        const auto lock = lock_of_dead_test(scratch, path);
        if (!lock)
            continue;
        remove_test(path, name);
        ++removed;
    }
    return removed;
}

void check_scratch_place(const std::string& scratch, const std::vector<std::string>& keep_away,
                         const std::string& repository_url) {
    const std::string hint = "Choose another scratch directory.";
    const std::string place = canonical_path(scratch);
    const std::string what = "scratch directory \"" + place + "\"";
    for (const std::string& directory : keep_away) {
        if (is_inside(place, canonical_path(directory))) {
            throw Error(ErrorCode::refused, what + " is inside the live cluster",
                        "It lies in \"" + directory + "\".", hint);
        }
    }
    for (std::string above = place; above != "/"; above = parent_directory(above)) {
        if (exists(above + "/PG_VERSION")) {
            throw Error(ErrorCode::refused, what + " is inside a data directory",
                        "\"" + above + "\" holds a cluster.", hint);
        }
    }
    const auto repository = local_store_path(repository_url);
    if (repository && is_inside(place, canonical_path(*repository)))
        throw Error(ErrorCode::refused, what + " is inside the repository", {}, hint);
}

}  // namespace ark
