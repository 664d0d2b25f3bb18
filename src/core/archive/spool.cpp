#include "core/archive/spool.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <ctime>
#include <memory>
#include <set>
#include <sstream>

#include "core/base/error.hpp"
#include "core/base/fault.hpp"
#include "core/pgdata/wal_name.hpp"

namespace ark {

namespace {

// Fault points, in the order of a segment's life: spool_before_write, spool_before_rename,
// spool_after_rename.

constexpr size_t kSegmentName = 24;
constexpr size_t kSmallFile = 4096;
constexpr const char* kLock = "/lock";
constexpr const char* kWanted = "/wanted";
constexpr const char* kConfirmed = "/confirmed";

std::vector<std::string> names_in(const std::string& directory) {
    std::vector<std::string> names;
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(opendir(directory.c_str()), closedir);
    if (!stream)
        return names;
    while (const dirent* entry = readdir(stream.get())) {
        const std::string name = entry->d_name;
        if (name != "." && name != "..")
            names.push_back(name);
    }
    return names;
}

// "<segment>.<key>.<hash>.f"
std::optional<SpooledSegment> parse_name(const std::string& name, const std::string& prefix) {
    constexpr size_t kHash = 32;
    if (!name.starts_with(prefix) || name.size() != prefix.size() + kHash + 2)
        return std::nullopt;
    const std::string end = name.substr(prefix.size() + kHash);
    if (end != ".f" && end != ".s")
        return std::nullopt;
    try {
        return SpooledSegment{name, parse_hash128(name.substr(prefix.size(), kHash)), end == ".f"};
    } catch (const Error&) {
        return std::nullopt;
    }
}

// In pieces that stay in the processor's cache.
Hash128 hash_of(const std::string& path) {
    constexpr size_t kPiece = 256 << 10;
    const File file = File::open(path, O_RDONLY | O_NOFOLLOW);
    ContentHash hash;
    Bytes buffer(kPiece);
    for (uint64_t offset = 0;;) {
        const size_t n = file.pread_full(buffer, offset);
        hash.update(ByteView(buffer).first(n));
        offset += n;
        if (n < buffer.size())
            return hash.finish();
    }
}

// Seen as a whole or not at all by other processes; after a crash of the machine it may be
// anything, and whoever reads it can tell.
void replace_file(const std::string& path, const std::string& text) {
    const std::string temporary = path + "." + std::to_string(getpid());
    File file = File::open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW);
    file.write_all(as_bytes(text));
    file.close();
    if (rename(temporary.c_str(), path.c_str()) != 0)
        throw system_error(errno, "could not rename file \"" + temporary + "\"");
}

bool is_same_file(int fd, const std::string& path) {
    struct stat a {};
    struct stat b {};
    return fstat(fd, &a) == 0 && stat(path.c_str(), &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

}  // namespace

int64_t boot_nanos() {
    constexpr int64_t kSecond = 1000000000;
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec * kSecond + now.tv_nsec;
}

std::string spool_key(const SpoolOrigin& origin, const RecoveryProcess& process) {
    std::string text = "3\n";
    for (const std::string& part :
         {origin.repository_url, origin.cluster, origin.target_timeline,
          std::to_string(origin.system_identifier),
          origin.as_of ? std::to_string(*origin.as_of) : std::string(), std::to_string(process.pid),
          std::to_string(process.start_time)}) {
        text += std::to_string(part.size()) + ":" + part + "\n";
    }
    return to_text(content_hash(as_bytes(text))).substr(0, 16);
}

Spool::Spool(const std::string& data_directory, std::string key)
    : directory_(data_directory + "/" + kSpoolDirectory), key_(std::move(key)) {}

void Spool::create() const {
    if (mkdir(directory_.c_str(), 0700) != 0 && errno != EEXIST)
        throw system_error(errno, "could not create directory \"" + directory_ + "\"");
}

std::string Spool::part_of(const std::string& segment) const {
    return directory_ + "/" + segment + "." + key_ + ".part";
}

std::string Spool::path_of(const std::string& segment, const Hash128& hash, bool is_free) const {
    return directory_ + "/" + segment + "." + key_ + "." + to_text(hash) + (is_free ? ".f" : ".s");
}

std::optional<std::string> Spool::name_of(const std::string& segment) const {
    const std::string prefix = segment + "." + key_ + ".";
    for (const std::string& name : names_in(directory_)) {
        if (parse_name(name, prefix))
            return name;
    }
    return std::nullopt;
}

std::optional<SpooledSegment> Spool::find(const std::string& segment) const noexcept {
    try {
        const auto name = name_of(segment);
        if (!name)
            return std::nullopt;
        auto found = parse_name(*name, segment + "." + key_ + ".");
        found->path = directory_ + "/" + *name;
        if (SpoolLock::is_taken(directory_) || hash_of(found->path) == found->hash)
            return found;
        unlink(found->path.c_str());
    } catch (...) {  // the repository has it too
    }
    return std::nullopt;
}

bool Spool::is_coming(const std::string& segment) const {
    return access(part_of(segment).c_str(), F_OK) == 0 && SpoolLock::is_taken(directory_);
}

void Spool::want(const SpoolWish& wish) const {
    replace_file(directory_ + kWanted, key_ + " " + wish.segment + " " +
                                           (wish.from_spool ? "spool" : "repository") + "\n");
}

std::optional<SpoolWish> Spool::wanted() const {
    const auto content = read_file_if_exists(directory_ + kWanted, kSmallFile);
    if (!content)
        return std::nullopt;
    std::istringstream words{std::string(as_text(*content))};
    std::string key;
    std::string place;
    SpoolWish wish;
    words >> key >> wish.segment >> place;
    if (!parse_wal_file_name(wish.segment))
        return std::nullopt;  // torn
    if (key != key_)
        throw Error(ErrorCode::conflict, "the spool serves another recovery");
    wish.from_spool = place == "spool";
    return wish;
}

void Spool::confirm(int64_t now) const {
    replace_file(directory_ + kConfirmed, key_ + " " + std::to_string(now) + "\n");
}

bool Spool::was_confirmed(int64_t nanos) const {
    const auto content = read_file_if_exists(directory_ + kConfirmed, kSmallFile);
    if (!content)
        return false;
    std::istringstream words{std::string(as_text(*content))};
    std::string key;
    int64_t at = 0;
    if (!(words >> key >> at) || key != key_)
        return false;
    const int64_t age = boot_nanos() - at;
    return age >= 0 && age <= nanos;
}

void Spool::begin(const std::string& segment) const {
    // The server's umask says whether the group may read its files.
    constexpr mode_t kMode = 0640;
    File::open(part_of(segment), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, kMode);
}

void Spool::write(const std::string& segment, ByteView content) const {
    PG_ARK_FAULT_POINT("spool_before_write");
    File file = File::open(part_of(segment), O_WRONLY | O_NOFOLLOW);
    file.write_all(content);
    file.close();
}

void Spool::publish(const std::string& segment, const Hash128& hash, bool is_free) const {
    PG_ARK_FAULT_POINT("spool_before_rename");
    const std::string part = part_of(segment);
    if (rename(part.c_str(), path_of(segment, hash, is_free).c_str()) != 0)
        throw system_error(errno, "could not rename file \"" + part + "\"");
    PG_ARK_FAULT_POINT("spool_after_rename");
}

void Spool::set_free(const std::string& segment, const Hash128& hash) const noexcept {
    try {
        (void)rename(path_of(segment, hash, false).c_str(), path_of(segment, hash, true).c_str());
    } catch (...) {  // then it is scanned
    }
}

void Spool::give_up(const std::string& segment) const noexcept {
    try {
        unlink(part_of(segment).c_str());
    } catch (...) {  // no memory for the name
    }
}

std::vector<std::string> Spool::segments() const {
    std::set<std::string> found;
    for (const std::string& name : names_in(directory_)) {
        const std::string segment = name.substr(0, kSegmentName);
        if (parse_name(name, segment + "." + key_ + "."))
            found.insert(segment);
    }
    return {found.begin(), found.end()};
}

void Spool::clear() const {
    for (const std::string& name : names_in(directory_)) {
        if (parse_wal_file_name(name.substr(0, kSegmentName)))
            unlink((directory_ + "/" + name).c_str());
    }
}

void Spool::remove(const std::string& segment) const {
    while (const auto name = name_of(segment)) {
        if (unlink((directory_ + "/" + *name).c_str()) != 0 && errno != ENOENT)
            return;
    }
}

SpoolLock::SpoolLock(File file, std::string directory)
    : file_(std::move(file)), directory_(std::move(directory)) {}

SpoolLock::SpoolLock(int fd, const std::string& spool_directory)
    : file_(fd, spool_directory + kLock), directory_(spool_directory) {
    fcntl(fd, F_SETFD, FD_CLOEXEC);
}

std::optional<SpoolLock> SpoolLock::take(const std::string& spool_directory) {
    const std::string path = spool_directory + kLock;
    for (;;) {
        File file = File::open(path, O_RDWR | O_CREAT | O_NOFOLLOW);
        if (flock(file.fd(), LOCK_EX | LOCK_NB) != 0)
            return std::nullopt;
        // Whoever held it may have removed it in the meantime: then it locks nothing.
        if (is_same_file(file.fd(), path))
            return SpoolLock(std::move(file), spool_directory);
    }
}

bool SpoolLock::is_taken(const std::string& spool_directory) noexcept {
    const int fd = open((spool_directory + kLock).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return false;
    const bool taken = flock(fd, LOCK_SH | LOCK_NB) != 0;
    close(fd);
    return taken;
}

void SpoolLock::remove_spool() noexcept {
    try {
        for (const std::string& name : names_in(directory_)) {
            if ("/" + name != kLock)
                unlink((directory_ + "/" + name).c_str());
        }
        unlink((directory_ + kLock).c_str());
        rmdir(directory_.c_str());
    } catch (...) {  // the next one will
    }
}

void remove_abandoned_spool(const std::string& data_directory) noexcept {
    try {
        const std::string directory = data_directory + "/" + kSpoolDirectory;
        if (access(directory.c_str(), F_OK) != 0)
            return;
        if (auto lock = SpoolLock::take(directory))
            lock->remove_spool();
    } catch (...) {  // it does no harm where it is
    }
}

}  // namespace ark
