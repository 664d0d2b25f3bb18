#include "core/restore/layout.hpp"

#include <algorithm>
#include <set>
#include <tuple>

#include "core/base/error.hpp"
#include "core/restore/layered_file.hpp"

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

namespace {

/// Adds up what frames take in packs, those that files share once.
class FrameSum {
 public:
    void add(size_t backup, uint32_t pack, const FrameRef& ref, bool may_be_shared) {
        if (!may_be_shared || shared_.insert({backup, pack, ref.offset}).second)
            bytes_ += ref.stored;
    }
    void add(const IndexEntry& whole) {
        for (const FrameRef& ref : whole.frames)
            add(0, whole.pack, ref, whole.frames.size() == 1);
    }
    void add(const FilePiece& piece, bool is_one_frame) {
        for (const FrameShare& share : piece.frames)
            add(piece.backup, piece.member.pack, share.ref, is_one_frame);
    }
    uint64_t bytes() const { return bytes_; }

 private:
    std::set<std::tuple<size_t, uint32_t, uint64_t>> shared_;  ///< a MiB of plaintext each
    uint64_t bytes_ = 0;
};

// Whether the backup may have corrupt pages in this file.
bool may_be_corrupt(const BackupMarker& backup, const std::string& path) {
    return backup.corrupt_page_count > backup.corrupt_pages.size() ||
           std::ranges::find(backup.corrupt_pages, path, &CorruptPage::path) !=
               backup.corrupt_pages.end();
}

}  // namespace

IndexSurvey survey_index(Repository& repository, const BackupChain& chain, const Layout& layout) {
    IndexSurvey survey;
    FrameSum frames;
    std::set<std::string> missing{"PG_VERSION", kControlPath, kLabelPath};
    ChainReader reader(repository, chain);
    while (const auto file = reader.next()) {
        const IndexEntry& entry = file->entry;
        const std::string& root = layout.root_of(entry.path);
        if (entry.type != EntryType::file)
            continue;
        ++survey.files;
        const uint64_t size = file_size(entry);
        survey.bytes += size;
        // A file takes whole blocks of the file system.
        constexpr uint64_t kBlock = 4096;
        survey.bytes_by_root[root] += (size + kBlock - 1) / kBlock * kBlock;
        missing.erase(entry.path);
        if (!entry.incremental) {
            frames.add(entry);
            continue;
        }
        bool corrupt = false;
        for (const FilePiece& piece : cut_into_pieces(*file, chain, false, 0)) {
            frames.add(piece, piece.member.size < kFrameBytes);
            corrupt = corrupt ||
                      (piece.backup > 0 && may_be_corrupt(chain.backups[piece.backup], entry.path));
        }
        if (corrupt)
            survey.damaged_in_parents.push_back(entry.path);
    }
    survey.stored_bytes = frames.bytes();
    if (!missing.empty()) {
        throw Error(ErrorCode::corrupt,
                    "the index of backup " + chain.tip().backup_id + " is damaged",
                    "It has no \"" + *missing.begin() + "\", which every backup has.",
                    "Restore another backup (\"pg_ark list\").");
    }
    return survey;
}

}  // namespace ark
