#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/repo/index.hpp"
#include "core/repo/marker.hpp"
#include "core/repo/repository.hpp"

namespace ark {

/// A backup and those that it builds on, newest first. The last one is full.
struct BackupChain {
    std::vector<BackupMarker> backups;

    const BackupMarker& tip() const { return backups.front(); }
    bool is_incremental() const { return backups.size() > 1; }
};

/// Gives a backup, or what a failed one has left, by its id; nullopt where there is none.
using FindLink = std::function<std::optional<BackupMarker>(const std::string& id)>;

/// More than anybody makes: each index of a chain is read at the same time.
constexpr size_t kMaxChainLength = 500;

/// The chain of a backup whose marker is known. Error: corrupt, naming both, where a backup that
/// one builds on is missing or another one of its name, is not older, is of another cluster, has
/// other sizes of blocks and segments or another setting of data checksums, or is not encrypted
/// alike; where the chain does not end with a full backup; and what find_backup throws of a marker.
BackupChain load_chain(Repository& repository, const std::string& cluster, BackupMarker tip);
/// The same with what `find` gives for an id: as find_chain_link.
BackupChain load_chain(BackupMarker tip, const FindLink& find);

/// Removes the backups whose chain is broken, as far as the others tell, and what `find_other`
/// gives for those that are not among them; a sentence for each, without its full stop, is added to
/// `broken`.
void leave_out_broken(std::vector<BackupMarker>& backups, const FindLink& find_other,
                      std::vector<std::string>& broken);

/// What an older backup of a chain has of a file.
struct ChainLayer {
    size_t backup = 0;  ///< in BackupChain::backups
    IndexEntry entry;
};

/// A file or directory of the tip. Of a file of which the tip has the changed blocks alone there
/// are the older ones too, newest first, down to the first that is whole: the first of all these
/// that has a block has the right one (docs/incremental.md); a block that none has is zeros.
struct ChainEntry {
    IndexEntry entry;
    std::vector<ChainLayer> older{};
};

/// Of an incremental file: error corrupt where the sizes that the index says of it cannot be.
void check_sizes(const BackupMarker& backup, const IndexEntry& entry);

/// Reads the indexes of a chain side by side, in bytewise path order of the tip's; memory is a few
/// MiB for each backup. Every index is read to its end, and its digest checked there: when next
/// has returned nullopt all of them were whole.
class ChainReader {
 public:
    /// The chain must live as long.
    ChainReader(Repository& repository, const BackupChain& chain);
    ~ChainReader();

    /// nullopt after the tip's last entry. Error: corrupt: as IndexReader; where an older backup
    /// does not have a file of which newer ones have blocks alone, naming backup and file; and
    /// where the sizes that an index says of such a file cannot be.
    std::optional<ChainEntry> next();

 private:
    class Cursor;

    void add_layers(ChainEntry& file);
    void check(size_t backup, const IndexEntry& entry) const;

    const BackupChain& chain_;
    std::vector<std::unique_ptr<Cursor>> cursors_;
};

}  // namespace ark
