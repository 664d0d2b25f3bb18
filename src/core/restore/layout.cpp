#include "core/restore/layout.hpp"

#include <set>

#include "core/base/error.hpp"

namespace ark {

namespace {

bool is_safe_part(std::string_view part) {
    return !part.empty() && part != "." && part != ".." &&
           part.find('\0') == std::string_view::npos;
}

void check_index_path(const std::string& path) {
    for (size_t begin = 0; begin <= path.size() && !path.empty();) {
        const size_t slash = std::min(path.find('/', begin), path.size());
        if (!is_safe_part(std::string_view(path).substr(begin, slash - begin))) {
            throw Error(ErrorCode::corrupt, "invalid path \"" + path + "\" in the backup's index");
        }
        begin = slash + 1;
    }
}

}  // namespace

Layout::Layout(std::string data_directory, const std::vector<TablespaceTarget>& tablespaces)
    : data_directory_(std::move(data_directory)), roots_{data_directory_} {
    for (const TablespaceTarget& t : tablespaces) {
        locations_["pg_tblspc/" + std::to_string(t.oid)] = t.location;
        roots_.push_back(t.location);
    }
}

Layout::Split Layout::split(const std::string& index_path) const {
    check_index_path(index_path);
    constexpr std::string_view kPrefix = "pg_tblspc/";
    if (index_path.starts_with(kPrefix)) {
        const size_t slash = std::min(index_path.find('/', kPrefix.size()), index_path.size());
        const auto found = locations_.find(std::string_view(index_path).substr(0, slash));
        if (found != locations_.end()) {
            return {&found->second, std::string_view(index_path).substr(slash)};
        }
    }
    return {&data_directory_, index_path};
}

std::string Layout::path_of(const std::string& index_path) const {
    const Split s = split(index_path);
    if (s.rest.empty())
        return *s.root;
    return *s.root + (s.rest.front() == '/' ? "" : "/") + std::string(s.rest);
}

const std::string& Layout::root_of(const std::string& index_path) const {
    return *split(index_path).root;
}

IndexSurvey survey_index(Repository& repository, const BackupMarker& backup, const Layout& layout) {
    IndexSurvey survey;
    std::set<std::string> missing{"PG_VERSION", kControlPath, "backup_label"};
    IndexReader reader(repository, backup.cluster, backup.backup_id, backup.index_sha256);
    while (const auto entry = reader.next()) {
        const std::string& root = layout.root_of(entry->path);
        if (entry->type != EntryType::file)
            continue;
        ++survey.files;
        survey.bytes += entry->size;
        // A file takes whole blocks of the file system.
        constexpr uint64_t kBlock = 4096;
        survey.bytes_by_root[root] += (entry->size + kBlock - 1) / kBlock * kBlock;
        missing.erase(entry->path);
    }
    if (!missing.empty()) {
        throw Error(ErrorCode::corrupt, "the index of backup " + backup.backup_id + " is damaged",
                    "It has no \"" + *missing.begin() + "\", which every backup has.",
                    "Restore another backup (\"pg_ark list\").");
    }
    return survey;
}

}  // namespace ark
