#include "core/changes/local_changes.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <string_view>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/pipeline/content_hash.hpp"

namespace ark {

namespace {

namespace fs = std::filesystem;

constexpr size_t kHashBytes = 16;
constexpr size_t kMostBytes = size_t{1} << 30;
constexpr std::string_view kTemporary = ".tmp";

std::string name_of(const ChangeRange& range) {
    char name[48];
    std::snprintf(name, sizeof(name), "%08X-%016llX-%016llX", range.timeline,
                  static_cast<unsigned long long>(range.from),
                  static_cast<unsigned long long>(range.to));
    return name;
}

uint64_t hex_in(std::string_view text) {
    uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value, 16);
    return value;
}

// nullopt for any name that name_of does not make.
std::optional<ChangeRange> parse_name(const std::string& name) {
    if (name.size() != 8 + 1 + 16 + 1 + 16)
        return std::nullopt;
    const std::string_view text = name;
    const ChangeRange range{static_cast<TimelineId>(hex_in(text.substr(0, 8))),
                            hex_in(text.substr(9, 16)), hex_in(text.substr(26, 16))};
    return name_of(range) == name ? std::optional(range) : std::nullopt;
}

std::vector<std::string> names_in(const std::string& directory) {
    std::vector<std::string> out;
    std::error_code error;
    fs::directory_iterator files(directory, error);
    for (; !error && files != fs::directory_iterator(); files.increment(error))
        out.push_back(files->path().filename());
    if (error && error.value() != ENOENT)
        throw system_error(error.value(), "could not read directory \"" + directory + "\"");
    return out;
}

Error damaged(const std::string& path, const std::string& what) {
    return {ErrorCode::corrupt, "change table \"" + path + "\" is damaged", what};
}

void remove(const std::string& path) {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT)
        throw system_error(errno, "could not remove file \"" + path + "\"");
}

}  // namespace

LocalChanges::LocalChanges(std::string data_directory)
    : directory_(std::move(data_directory) + "/" + kLocalChangesDirectory) {}

std::string LocalChanges::path_of(const ChangeRange& range) const {
    return directory_ + "/" + name_of(range);
}

void LocalChanges::store(const RangeChanges& changes) {
    if (::mkdir(directory_.c_str(), 0700) == 0) {
        fsync_directory(parent_directory(directory_));
    } else if (errno != EEXIST) {
        throw system_error(errno, "could not create directory \"" + directory_ + "\"");
    }
    const Bytes table = encode_changes(changes);
    const Hash128 hash = content_hash(table);
    Bytes content(kHashBytes);
    ark::store<uint64_t>(content, 0, hash.high);
    ark::store<uint64_t>(content, 8, hash.low);
    content.insert(content.end(), table.begin(), table.end());
    write_file_durably(path_of(changes.range), content, 0600);
}

std::optional<RangeChanges> LocalChanges::load(const ChangeRange& range) const {
    const std::string path = path_of(range);
    const auto content = read_file_if_exists(path, kMostBytes);
    if (!content)
        return std::nullopt;
    if (content->size() < kHashBytes)
        throw damaged(path, "It ends early.");
    const ByteView table = ByteView(*content).subspan(kHashBytes);
    if (content_hash(table) !=
        Hash128{ark::load<uint64_t>(*content, 0), ark::load<uint64_t>(*content, 8)})
        throw damaged(path, "It does not match its checksum.");
    RangeChanges changes = decode_changes(table, path);
    if (changes.range != range)
        throw damaged(path, "It is for " + to_text(changes.range) + ".");
    return changes;
}

std::vector<ChangeRange> LocalChanges::list() const {
    std::vector<ChangeRange> out;
    for (const std::string& name : names_in(directory_)) {
        if (const auto range = parse_name(name))
            out.push_back(*range);
    }
    std::ranges::sort(out);
    return out;
}

PrunedChanges LocalChanges::prune(Lsn wanted_from, uint64_t most_bytes) {
    for (const std::string& name : names_in(directory_)) {
        if (name.ends_with(kTemporary))
            remove(directory_ + "/" + name);
    }
    PrunedChanges out;
    uint64_t bytes = 0;
    std::vector<ChangeRange> ranges = list();
    std::ranges::sort(ranges, std::ranges::greater{}, &ChangeRange::from);
    for (const ChangeRange& range : ranges) {
        const std::string path = path_of(range);
        const bool wanted = range.to > wanted_from;
        std::error_code error;
        const uint64_t size = fs::file_size(path, error);
        if (wanted && (error || bytes + size <= most_bytes)) {
            bytes += error ? 0 : size;
            continue;
        }
        if (wanted) {
            most_bytes = 0;  // none that is older stays where this one went
            ++out.wanted_files;
            out.wanted_up_to = std::max(out.wanted_up_to, range.to);
        }
        remove(path);
        ++out.files;
    }
    return out;
}

}  // namespace ark
