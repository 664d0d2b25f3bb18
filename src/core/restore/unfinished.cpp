#include "core/restore/unfinished.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "core/base/error.hpp"
#include "core/repo/json_text.hpp"

namespace ark {

namespace {

using nlohmann::json;

constexpr size_t kNoteLimit = 16 << 20;

std::string text_of(const UnfinishedNote& note) {
    json locations = json::array();
    for (const std::string& path : note.tablespaces)
        locations.push_back(json_of_text(path));
    const json object{
        {"about",
         "pg_ark restore writes this data directory and has not ended: it cannot be started"},
        {"backup_id", note.backup_id},
        {"tablespaces", locations}};
    return object.dump(2) + "\n";
}

// True when the name still leads to the file that was locked.
bool is_current(const File& file) {
    struct stat named {};
    const struct stat held = file.stat();
    return ::stat(file.path().c_str(), &named) == 0 && named.st_dev == held.st_dev &&
           named.st_ino == held.st_ino;
}

}  // namespace

std::optional<UnfinishedNote> read_unfinished(const std::string& data_directory) {
    const std::string path = data_directory + "/" + kUnfinishedName;
    const auto content = read_file_if_exists(path, kNoteLimit);
    if (!content)
        return std::nullopt;
    try {
        return with_parsed_json(as_text(*content), path, [](const json& j) {
            UnfinishedNote note;
            note.backup_id = j.at("backup_id").get<std::string>();
            for (const json& location : j.at("tablespaces")) {
                note.tablespaces.push_back(text_of_json(location));
            }
            return note;
        });
    } catch (const Error&) {
        return UnfinishedNote{};
    }
}

UnfinishedMark::UnfinishedMark(const std::string& data_directory, const UnfinishedNote& note)
    : directory_(data_directory) {
    const std::string path = data_directory + "/" + kUnfinishedName;
    do {
        file_ = File::open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
        if (::flock(file_.fd(), LOCK_EX | LOCK_NB) != 0) {
            if (errno != EWOULDBLOCK)
                throw system_error(errno, "could not lock \"" + path + "\"");
            throw Error(ErrorCode::refused,
                        "another restore into \"" + data_directory + "\" is under way",
                        "It holds the file \"" + path + "\".", "Wait for it, or stop it.");
        }
    } while (!is_current(file_));
    const std::string text = text_of(note);
    if (::ftruncate(file_.fd(), 0) != 0) {
        throw system_error(errno, "could not truncate file \"" + path + "\"");
    }
    file_.pwrite_all(as_bytes(text), 0);
    file_.fsync();
    fsync_directory(directory_);
}

void UnfinishedMark::finish() {
    if (::unlink(file_.path().c_str()) != 0) {
        throw system_error(errno, "could not remove file \"" + file_.path() + "\"");
    }
    fsync_directory(directory_);
    file_.close();
}

}  // namespace ark
