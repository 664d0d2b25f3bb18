#include "core/repo/chain.hpp"

#include <algorithm>
#include <bit>
#include <map>
#include <string_view>
#include <utility>

#include "core/base/error.hpp"

namespace ark {

namespace {

constexpr const char* kOtherBackupHint =
    "Restore another backup: without --backup the newest one is taken whose chain is whole "
    "(\"pg_ark list\" shows them).";
// Less than an ObjectReader takes by itself: there is one for each backup of a chain.
constexpr size_t kFetchBytes = 512 << 10;
constexpr std::string_view kBehindMostPaths = "\xFF";

Error broken_chain(const BackupMarker& tip, const std::string& detail) {
    return {ErrorCode::corrupt, "the chain of backup " + tip.backup_id + " is broken", detail,
            kOtherBackupHint};
}

// Empty where `child` can build on `parent`.
std::string why_not_parent(const BackupMarker& child, const BackupMarker& parent) {
    const std::string both = "Backup " + child.backup_id + " builds on backup " + parent.backup_id;
    if (parent.system_identifier != child.system_identifier || parent.cluster != child.cluster)
        return both + ", which is of another cluster.";
    if (parent.start_lsn > child.start_lsn || parent.timeline > child.timeline)
        return both + ", which is not older: it began at " + to_text(parent.start_lsn) +
               " on timeline " + std::to_string(parent.timeline) + ", not before " +
               to_text(child.start_lsn) + " on timeline " + std::to_string(child.timeline) + ".";
    const auto differs = [&](const char* what, uint64_t a, uint64_t b) {
        return a == b ? std::string()
                      : both + ", whose " + what + " is " + std::to_string(a) + ", not " +
                            std::to_string(b) + ".";
    };
    for (const std::string& text :
         {differs("block size", parent.block_size, child.block_size),
          differs("number of blocks in a segment file", parent.relation_segment_blocks,
                  child.relation_segment_blocks),
          differs("data checksum version", parent.data_checksum_version,
                  child.data_checksum_version),
          differs("catalog version", parent.catalog_version, child.catalog_version)}) {
        if (!text.empty())
            return text;
    }
    if (parent.index_sha256 != child.parent_index_sha256)
        return both + ", but not on the one that is there: it has another index.";
    // Whoever can write could put a parent there otherwise.
    if (parent.is_encrypted != child.is_encrypted)
        return both + ", and one of them is encrypted, the other is not.";
    return {};
}

BackupMarker parent_of(const BackupMarker& tip, const BackupMarker& child, const FindLink& find) {
    const std::string builds_on = "Backup " + child.backup_id + " builds on backup " + child.parent;
    std::optional<BackupMarker> parent;
    try {
        parent = find(child.parent);
    } catch (const Error& error) {
        if (error.code != ErrorCode::corrupt)
            throw;
        throw broken_chain(tip, builds_on + ", whose marker cannot be read: " + error.message +
                                    ". " + error.detail);
    }
    if (!parent)
        throw broken_chain(tip, builds_on + ", which is missing.");
    const std::string why = why_not_parent(child, *parent);
    if (!why.empty())
        throw broken_chain(tip, why);
    return std::move(*parent);
}

bool is_block_size(uint32_t bytes) {
    constexpr uint32_t kSmallest = 1 << 10;
    constexpr uint32_t kLargest = 32 << 10;
    return std::has_single_bit(bytes) && bytes >= kSmallest && bytes <= kLargest;
}

Error damaged_index(const BackupMarker& backup, const IndexEntry& entry, const char* what) {
    return {ErrorCode::corrupt, "the index of backup " + backup.backup_id + " is damaged",
            "Of file \"" + entry.path + "\" " + what, kOtherBackupHint};
}

// False where the marker says that the backup is full.
bool builds_on_another(const BackupMarker& tip, const BackupMarker& backup) {
    const bool full = backup.type == kTypeFull || backup.type == kTypeUnfinished;
    if (full && !backup.parent.empty())
        throw broken_chain(tip, "Backup " + backup.backup_id +
                                    " is a full one, and says that it builds "
                                    "on backup " +
                                    backup.parent + ".");
    if (!full && backup.parent.empty())
        throw broken_chain(tip, "Backup " + backup.backup_id + " is no full one (its type is \"" +
                                    backup.type + "\"), and does not say what it builds on.");
    if (full)
        return false;
    if (!is_block_size(backup.block_size))
        throw broken_chain(tip, "Backup " + backup.backup_id + " says that blocks have " +
                                    std::to_string(backup.block_size) + " bytes.");
    return true;
}

}  // namespace

BackupChain load_chain(Repository& repository, const std::string& cluster, BackupMarker tip) {
    return load_chain(std::move(tip), [&](const std::string& id) {
        return find_chain_link(repository, cluster, id);
    });
}

BackupChain load_chain(BackupMarker tip, const FindLink& find) {
    BackupChain chain;
    chain.backups.push_back(std::move(tip));
    while (builds_on_another(chain.tip(), chain.backups.back())) {
        const BackupMarker& child = chain.backups.back();
        const auto same_id = [&](const BackupMarker& b) { return b.backup_id == child.parent; };
        if (std::ranges::any_of(chain.backups, same_id))
            throw broken_chain(chain.tip(), "Backup " + child.backup_id + " builds on backup " +
                                                child.parent + ", which builds on it.");
        if (chain.backups.size() == kMaxChainLength)
            throw broken_chain(chain.tip(), "After " + std::to_string(kMaxChainLength) +
                                                " backups, down to " + child.backup_id +
                                                ", there is still no full one.");
        BackupMarker parent = parent_of(chain.tip(), child, find);
        chain.backups.push_back(std::move(parent));
    }
    return chain;
}

// What is read and written by these numbers must not be more than there can be.
void check_sizes(const BackupMarker& backup, const IndexEntry& entry) {
    const IncrementalContent& content = *entry.incremental;
    if (!is_block_size(backup.block_size))
        throw damaged_index(backup, entry, "it has blocks, whose size the marker does not know.");
    const uint64_t blocks = content.file_size / backup.block_size;
    if (content.file_size % backup.block_size != 0 || blocks > backup.relation_segment_blocks)
        throw damaged_index(backup, entry, "it says a size that is none of a relation's file.");
    if (!content.runs.empty() && content.runs.back().end() > blocks)
        throw damaged_index(backup, entry, "it names blocks behind its end.");
    if (entry.size != incremental_bytes(blocks_in(content.runs), backup.block_size))
        throw damaged_index(backup, entry, "it says a size that does not fit its blocks.");
}

void leave_out_broken(std::vector<BackupMarker>& backups, const FindLink& find_other,
                      std::vector<std::string>& broken) {
    std::map<std::string, BackupMarker> by_id;
    for (const BackupMarker& backup : backups)
        by_id.emplace(backup.backup_id, backup);
    const FindLink find = [&](const std::string& id) -> std::optional<BackupMarker> {
        auto found = by_id.find(id);
        if (found == by_id.end()) {
            auto other = find_other(id);
            if (!other)
                return std::nullopt;
            found = by_id.emplace(id, std::move(*other)).first;
        }
        return found->second;
    };
    std::map<std::string, bool> whole;  // what is being looked at is not, until it is known
    const std::function<bool(const BackupMarker&)> check = [&](const BackupMarker& backup) {
        const auto [known, is_new] = whole.emplace(backup.backup_id, false);
        if (!is_new)
            return known->second;
        try {
            if (builds_on_another(backup, backup)) {
                parent_of(backup, backup, find);
                if (!check(by_id.at(backup.parent)))
                    throw broken_chain(backup, "Backup " + backup.backup_id + " builds on backup " +
                                                   backup.parent + ", whose chain is broken.");
            }
            return known->second = true;
        } catch (const Error& error) {
            broken.push_back(error.message + ": " +
                             error.detail.substr(0, error.detail.find_last_not_of('.') + 1));
            return false;
        }
    };
    for (const BackupMarker& backup : backups)
        check(backup);
    std::erase_if(backups, [&](const BackupMarker& b) { return !whole.at(b.backup_id); });
}

/// One index, asked for paths in its own order.
class ChainReader::Cursor {
 public:
    Cursor(Repository& repository, const BackupMarker& backup)
        : reader_(repository, backup.cluster, backup.backup_id, backup.index_sha256, kFetchBytes) {}

    std::optional<IndexEntry> next() { return reader_.next(); }

    /// The entry of this path, once; nullopt where there is none.
    std::optional<IndexEntry> take(const std::string& path) {
        if (!ended_ && (!entry_ || entry_->path < path)) {
            entry_ = reader_.next_from(path);
            ended_ = !entry_;
        }
        if (!entry_ || entry_->path != path)
            return std::nullopt;
        return std::exchange(entry_, std::nullopt);
    }

    void read_to_end() {
        while (reader_.next_from(kBehindMostPaths)) {
        }
    }

 private:
    IndexReader reader_;
    std::optional<IndexEntry> entry_;
    bool ended_ = false;
};

ChainReader::ChainReader(Repository& repository, const BackupChain& chain) : chain_(chain) {
    for (const BackupMarker& backup : chain.backups)
        cursors_.push_back(std::make_unique<Cursor>(repository, backup));
}
ChainReader::~ChainReader() = default;

std::optional<ChainEntry> ChainReader::next() {
    auto entry = cursors_.front()->next();
    if (!entry) {
        for (const auto& cursor : cursors_)
            cursor->read_to_end();
        return std::nullopt;
    }
    ChainEntry file{std::move(*entry)};
    check(0, file.entry);
    if (file.entry.incremental)
        add_layers(file);
    return file;
}

void ChainReader::add_layers(ChainEntry& file) {
    for (size_t i = 1; i < cursors_.size(); ++i) {
        auto entry = cursors_[i]->take(file.entry.path);
        if (!entry || entry->type != EntryType::file) {
            throw Error(ErrorCode::corrupt,
                        "file \"" + file.entry.path + "\" of backup " + chain_.tip().backup_id +
                            " cannot be put together",
                        "Backup " + chain_.backups[i - 1].backup_id +
                            " has its changed blocks alone, and backup " +
                            chain_.backups[i].backup_id +
                            ", which it builds on, does not have the file.",
                        kOtherBackupHint);
        }
        check(i, *entry);
        const bool whole = !entry->incremental;
        file.older.push_back({i, std::move(*entry)});
        if (whole)
            return;
    }
}

void ChainReader::check(size_t backup, const IndexEntry& entry) const {
    if (!entry.incremental)
        return;
    if (backup + 1 == chain_.backups.size())
        throw damaged_index(chain_.backups[backup], entry,
                            "it has changed blocks alone, although the backup is full.");
    check_sizes(chain_.backups[backup], entry);
}

}  // namespace ark
